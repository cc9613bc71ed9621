/** Sensors in one request, as many as the processor takes. */
const IDS_MAX = 100;
/** Characters of their part of the address: proxies commonly take 8 KiB of it, and the processor 16 KiB with all headers. */
const ADDRESS_MAX = 7_000;

/** The first of `ids` that one request for small charts can name: at least one, as long as there is one. */
export function sparklineBatch(ids: Iterable<string>): string[] {
  const batch: string[] = [];
  let length = 0;
  for (const id of ids) {
    length += '&sensor='.length + encodeURIComponent(id).length;
    if (batch.length === IDS_MAX || (batch.length > 0 && length > ADDRESS_MAX)) break;
    batch.push(id);
  }
  return batch;
}
