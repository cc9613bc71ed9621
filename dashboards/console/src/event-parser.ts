/** One server-sent event. */
export interface ServerEvent {
  readonly name: string;
  readonly data: string;
}

/** Characters of an unfinished event: beyond, the sender is not ours. */
const PENDING_MAX = 4 * 1024 * 1024;

/**
 * Cuts a stream of text into server-sent events (HTML Living Standard, 9.2.6). The browser's own EventSource cannot send a header, and a
 * token does not belong into an address.
 */
export class EventParser {
  #pending = '';

  /** The events that `text` completes. */
  push(text: string): ServerEvent[] {
    this.#pending += text.replaceAll('\r\n', '\n');
    if (this.#pending.length > PENDING_MAX) throw new Error('an event is longer than any that the processor sends');
    const blocks = this.#pending.split('\n\n');
    this.#pending = blocks.pop() ?? '';
    return blocks.flatMap((block) => parseBlock(block) ?? []);
  }
}

function parseBlock(block: string): ServerEvent | undefined {
  let name = 'message';
  const data: string[] = [];
  for (const line of block.split('\n')) {
    const colon = line.indexOf(':');
    if (colon <= 0) continue;
    const value = line.slice(colon + 1).replace(/^ /, '');
    if (line.startsWith('event:')) name = value;
    else if (line.startsWith('data:')) data.push(value);
  }
  return data.length === 0 ? undefined : { name, data: data.join('\n') };
}
