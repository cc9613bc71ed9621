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
  /** The id of the newest event, or the one that the sender gave by itself: what `Last-Event-ID` says after a break. */
  lastEventId: string | undefined;

  /** The events that `text` completes. */
  push(text: string): ServerEvent[] {
    this.#pending += text.replaceAll('\r\n', '\n');
    if (this.#pending.length > PENDING_MAX) throw new Error('an event is longer than any that the processor sends');
    const blocks = this.#pending.split('\n\n');
    this.#pending = blocks.pop() ?? '';
    return blocks.flatMap((block) => {
      const { id, event } = parseBlock(block);
      if (id !== undefined) this.lastEventId = id;
      return event ?? [];
    });
  }
}

function parseBlock(block: string): { readonly id: string | undefined; readonly event: ServerEvent | undefined } {
  let name = 'message';
  let id: string | undefined;
  const data: string[] = [];
  for (const line of block.split('\n')) {
    const colon = line.indexOf(':');
    if (colon <= 0) continue;
    const value = line.slice(colon + 1).replace(/^ /, '');
    if (line.startsWith('event:')) name = value;
    else if (line.startsWith('id:')) id = value;
    else if (line.startsWith('data:')) data.push(value);
  }
  return { id, event: data.length === 0 ? undefined : { name, data: data.join('\n') } };
}
