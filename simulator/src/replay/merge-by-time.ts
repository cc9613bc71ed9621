import type { SourceReading } from '../sensor.ts';

interface Cursor {
  readonly batches: AsyncIterator<readonly SourceReading[], void>;
  batch: readonly SourceReading[];
  index: number;
  /** The latest time seen in this source: one that steps back keeps its own order and its place among the others. */
  latest: number;
}

const BATCH_READINGS = 512;

/** Joins sources by time. The readings of each source stay in their order; of two at the same time, the first source's is first. */
export async function* mergeByTime(
  sources: readonly AsyncIterable<readonly SourceReading[]>[],
): AsyncGenerator<readonly SourceReading[], void> {
  const [only] = sources;
  if (sources.length === 1 && only !== undefined) {
    yield* only;
    return;
  }
  let cursors = sources.map((source): Cursor => {
    const batches = source[Symbol.asyncIterator]() as Cursor['batches'];
    return { batches, batch: [], index: -1, latest: -Infinity };
  });
  let merged: SourceReading[] = [];
  try {
    const begun: Cursor[] = [];
    for (const cursor of cursors) if (await advance(cursor)) begun.push(cursor);
    cursors = begun;
    while (cursors.length > 0) {
      const next = cursors.reduce((first, cursor) => (cursor.latest < first.latest ? cursor : first));
      const reading = next.batch[next.index];
      if (reading !== undefined) merged.push(reading);
      if (merged.length === BATCH_READINGS) {
        yield merged;
        merged = [];
      }
      if (!(await advance(next))) cursors = cursors.filter((cursor) => cursor !== next);
    }
    if (merged.length > 0) yield merged;
  } catch (error) {
    // A damaged source ends the merge, but not before what was read is given out.
    if (merged.length > 0) yield merged;
    throw error;
  } finally {
    for (const cursor of cursors) await cursor.batches.return?.();
  }
}

/** Moves to the next reading; false at the end. Awaits only between batches. */
async function advance(cursor: Cursor): Promise<boolean> {
  cursor.index += 1;
  while (cursor.index >= cursor.batch.length) {
    const { done, value } = await cursor.batches.next();
    if (done === true || value === undefined) return false;
    cursor.batch = value;
    cursor.index = 0;
  }
  const reading = cursor.batch[cursor.index];
  if (reading !== undefined) cursor.latest = Math.max(cursor.latest, reading.at);
  return true;
}
