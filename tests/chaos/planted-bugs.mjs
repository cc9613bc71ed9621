/** Bugs that would break the promise, each with the test that must fail for it; how their places are found, says `planted` in place.mjs. */

import { plantedBugs as simulatedBugs } from '../simulation/planted-bugs.mjs';

const KILL_9 = 'tests/chaos/kill-9.test.ts';
const LOSES_NOTHING = 'loses no acknowledged reading, counts none twice';
const SLOW_COMMITS = 'loses and doubles nothing either where a commit takes a second';
const CRASH_STATES = 'segment-log/test/crash-states.test.ts';
const EVERY_STATE = 'holds all that was acknowledged, once, in order, and nothing else';
const KILL_PROCESSOR = {
  file: 'tests/chaos/kill-processor.test.ts',
  test: 'loses and doubles nothing, late readings included',
};

/** A bug that the simulation knows, to be noticed by another test. */
function simulated(name, test) {
  const { what, edits } = simulatedBugs.find((bug) => bug.name === name);
  return { name, what, edits, ...test };
}

export const plantedBugs = [
  {
    name: 'ack-before-fsync',
    what: 'devices are answered before their readings are on the disk',
    edits: [
      {
        folder: 'edge-agent',
        find: 'return number > this.#refusedThrough ? settlement.ack() : this.#nack(settlement);',
        replace: 'return number > this.#refusedThrough ? undefined : this.#nack(settlement);',
      },
      {
        folder: 'edge-agent',
        find: 'const number = ++this.#taken;',
        replace: '$& await delivery.ack();',
      },
    ],
    file: KILL_9,
    test: SLOW_COMMITS,
    rounds: 10,
  },
  {
    name: 'publish-before-fsync',
    what: 'a lane is read up to what was written, not up to what is synced',
    edits: [
      {
        folder: 'segment-log',
        place: 'SegmentWriter.#sync',
        find: 'await file.sync()',
        replace: 'void $&.catch(() => {})',
      },
    ],
    file: 'edge-agent/test/uplink/sending-order.test.ts',
    test: 'is published only when the disk has synced it',
  },
  {
    name: 'trim-on-puback',
    what: 'records are deleted when NATS has acknowledged them, not when a processor has committed them',
    edits: [
      {
        folder: 'edge-agent',
        find: 'this.#cursor.acknowledged(part.from, part.to, bytes.length, seq);',
        replace: '$&\n    await this.#lane.release(part.to);',
      },
    ],
    file: 'edge-agent/test/uplink/spool-sender.test.ts',
    test: 'is kept until a floor has passed it and the grace period is over',
  },
  {
    name: 'snapshot-ahead-of-spool',
    what: 'a snapshot is taken before the outputs of what it holds are in the lanes',
    edits: [
      {
        folder: 'edge-agent',
        find: 'if (!(await commitUntilTaken(this.#writer, this.#refusals, signal))) return false;',
        replace: 'this.#betweenSteps(); $&',
      },
    ],
    file: 'edge-agent/test/snapshot/never-ahead-of-lanes.test.ts',
    test: 'a snapshot never holds what the lanes still lack',
  },
  {
    name: 'two-frames-for-one-position',
    what: 'what comes from one item of the journal is written in several frames, and counts as all there when the first is',
    edits: [
      {
        folder: 'edge-agent',
        find: 'await this.#lanes[lane].append(records, { now: true, ...(epoch !== undefined && { epoch }) });',
        replace:
          'await this.#lanes[lane].append(records.slice(0, 1), { now: true, ...(epoch !== undefined && { epoch }) });\n    for (const one of records.slice(1)) await this.#lanes[lane].append([one], { now: true });',
      },
      {
        folder: 'edge-agent',
        find: 'return this.#cause.position > position || (this.#cause.position === position && this.#made[lane] >= records);',
        replace: 'return this.#cause.position > position && records >= 0;',
      },
    ],
    file: 'edge-agent/test/pipeline-replay.test.ts',
    test: 'makes exactly the records of one that is not',
  },
  {
    name: 'torn-frame-accepted',
    what: 'a frame counts as whole although its checksum is wrong',
    edits: [
      {
        folder: 'segment-log',
        find: 'if (end > bytes.length || frameCrc(bytes, offset, end, seed) !== bytes.readUInt32LE(offset + 20)) return undefined;',
        replace: 'if (end > bytes.length || frameCrc(bytes, offset, end, seed) < 0) return undefined;',
      },
    ],
    file: CRASH_STATES,
    test: EVERY_STATE,
  },
  {
    name: 'epoch-not-renewed',
    what: 'a start goes on in the epoch of the one before',
    edits: [
      {
        folder: 'edge-agent',
        find: 'epoch: newEpoch(this.#ordinal)',
        replace: 'epoch: this.#parts.storage.lanes.anomaly.epoch ?? newEpoch(this.#ordinal)',
      },
    ],
    file: KILL_9,
    test: LOSES_NOTHING,
    rounds: 3,
  },
  {
    name: 'gap-with-a-number',
    what: 'a gap takes a number of its own besides those that it stands for',
    edits: [
      { folder: 'edge-agent', place: 'DiskLaneSpool.#gap', find: 'to: to - first + 1', replace: 'to: to - first + 2' },
    ],
    file: 'edge-agent/test/uplink/spool-sender.test.ts',
    test: 'tells of what was dropped at the cap with a gap in its place',
  },
  {
    name: 'floor-before-checkpoint',
    what: 'a floor is told that the older of the two kept checkpoints does not hold',
    edits: [{ folder: 'cloud-processor', find: 'return this.#older;', replace: 'return this.#newest;' }],
    file: 'cloud-processor/test/floors/floor-messages.test.ts',
    test: 'are those of the older of two safe checkpoints',
  },
  {
    name: 'repeat-acked-early',
    what: 'a repeat is answered before its original is safe',
    edits: [
      {
        folder: 'edge-agent',
        find: 'const number = ++this.#taken;',
        replace: '$& if (taken.readings.length + taken.quarantined.length === 0) return delivery.ack();',
      },
    ],
    file: KILL_9,
    test: SLOW_COMMITS,
    rounds: 20,
  },
  {
    name: 'recovered-not-synced',
    what: 'what a start finds on the disk is trusted without being synced',
    edits: [{ folder: 'segment-log', place: 'secure', find: 'await file.sync();', replace: '' }],
    file: CRASH_STATES,
    test: EVERY_STATE,
  },
  {
    name: 'processed-before-safe',
    what: 'readings are processed before their frame is on the disk',
    edits: [
      { folder: 'edge-agent', find: 'queue.push({ first, readings, arrivals });', replace: '' },
      {
        folder: 'edge-agent',
        find: 'const number = ++this.#taken;',
        replace:
          '$& if (taken.readings.length > 0) queue.push({ first: (this.#parts.journal as unknown as { next: number }).next, readings: taken.readings, arrivals: taken.arrivals });',
      },
    ],
    file: KILL_9,
    test: SLOW_COMMITS,
    rounds: 20,
  },
  {
    name: 'small-duplicate-memory',
    what: 'fewer readings of a sensor are remembered than a device may have in flight',
    edits: [
      {
        folder: 'edge-agent',
        find: 'new DuplicateMemory(duplicatesRemembered, duplicatesShared)',
        replace: 'new DuplicateMemory(duplicatesRemembered / 8, duplicatesShared)',
      },
    ],
    file: KILL_9,
    test: SLOW_COMMITS,
    rounds: 10,
  },
  {
    name: 'start-not-in-journal',
    what: 'a start begins an epoch in the lanes and leaves no trace in the journal',
    edits: [
      {
        folder: 'edge-agent',
        find: 'return await storage.journal.appendStart(item);',
        replace: 'return item.epoch === "" ? await storage.journal.appendStart(item) : storage.journal.next;',
      },
    ],
    file: KILL_9,
    test: LOSES_NOTHING,
    rounds: 5,
  },
  simulated('outbox-not-saved', { ...KILL_PROCESSOR, rounds: 20 }),
  {
    name: 'late-not-saved',
    what: 'a checkpoint does not hold the late readings that wait for their window',
    edits: [
      {
        folder: 'cloud-processor',
        find: 'lateWindows: this.#shared.lateWindows.snapshot()',
        replace: '$&.slice(0, 0)',
      },
    ],
    ...KILL_PROCESSOR,
    rounds: 10,
  },
  {
    name: 'sent-counts-as-stored',
    what: 'rows are settled although the request that carried them failed',
    edits: [
      {
        folder: 'cloud-processor',
        place: 'OutboxWriter.#write',
        find: 'if (signal.aborted) break;',
        replace: 'if (!signal.aborted) return true; $&',
      },
    ],
    file: 'tests/chaos/kill-store.test.ts',
    test: 'holds everything once all the same',
    rounds: 10,
  },
  {
    name: 'repeat-applied',
    what: 'a batch that ends at the floor is applied once more',
    edits: [
      { folder: 'cloud-processor', place: 'judge', find: 'last <= floor', replace: 'last < floor' },
      {
        folder: 'cloud-processor',
        place: 'judge',
        find: 'records.findIndex((record) => lastNumber(record) > floor)',
        replace: 'Math.max(0, $&)',
      },
    ],
    file: 'tests/chaos/kill-two.test.ts',
    test: 'lose and double nothing between them',
    rounds: 20,
  },
];
