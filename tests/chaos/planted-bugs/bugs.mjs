/**
 * Bugs that would break the promise, each with the test that must fail for it. What is to be found must occur once in its file, so that a
 * change of the code around it is noticed.
 */

import { plantedBugs as simulatedBugs } from '../../simulation/planted-bugs.mjs';

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
        path: 'edge-agent/src/input-loop.ts',
        find: '      return number > this.#refusedThrough ? settlement.ack() : this.#nack(settlement);',
        replace: '      return number > this.#refusedThrough ? undefined : this.#nack(settlement);',
      },
      {
        path: 'edge-agent/src/input-loop.ts',
        find: '    const { readings, quarantined } = taken;\n',
        replace: '    const { readings, quarantined } = taken;\n    await delivery.ack();\n',
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
        path: 'segment-log/src/segment-writer.ts',
        find: '    try {\n      await file.sync();\n    } catch (error) {\n      // What is not safe',
        replace: '    try {\n      void file.sync().catch(() => {});\n    } catch (error) {\n      // What is not safe',
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
        path: 'edge-agent/src/uplink/spool-sender.ts',
        find: '    this.#cursor.acknowledged(part.from, part.to, bytes.length, seq);\n',
        replace:
          '    this.#cursor.acknowledged(part.from, part.to, bytes.length, seq);\n    await this.#lane.release(part.to);\n',
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
        path: 'edge-agent/src/processing-queue.ts',
        find: '      if (!(await commitUntilTaken(this.#writer, this.#refusals, signal))) return false;\n      this.#items -= done;\n      this.#betweenSteps();\n',
        replace:
          '      this.#betweenSteps();\n      if (!(await commitUntilTaken(this.#writer, this.#refusals, signal))) return false;\n      this.#items -= done;\n',
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
        path: 'edge-agent/src/record-writer.ts',
        find: '    await this.#lanes[lane].append(records, { now: true, ...(epoch !== undefined && { epoch }) });\n',
        replace:
          '    await this.#lanes[lane].append(records.slice(0, 1), { now: true, ...(epoch !== undefined && { epoch }) });\n    for (const one of records.slice(1)) await this.#lanes[lane].append([one], { now: true });\n',
      },
      {
        path: 'edge-agent/src/record-writer.ts',
        find: '    return this.#cause.position > position || (this.#cause.position === position && this.#made[lane] >= records);',
        replace: '    return this.#cause.position > position && records >= 0;',
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
        path: 'segment-log/src/format.ts',
        find: '  if (end > bytes.length || frameCrc(bytes, offset, end, seed) !== bytes.readUInt32LE(offset + 20)) return undefined;',
        replace: '  if (end > bytes.length || frameCrc(bytes, offset, end, seed) < 0) return undefined;',
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
        path: 'edge-agent/src/recovery.ts',
        find: 'epoch: newEpoch(this.#ordinal),',
        replace: 'epoch: this.#parts.storage.lanes.anomaly.epoch ?? newEpoch(this.#ordinal),',
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
      {
        path: 'edge-agent/src/spool/disk-lane-spool.ts',
        find: '      to: to - first + 1,\n      reason:',
        replace: '      to: to - first + 2,\n      reason:',
      },
    ],
    file: 'edge-agent/test/uplink/spool-sender.test.ts',
    test: 'tells of what was dropped at the cap with a gap in its place',
  },
  {
    name: 'floor-before-checkpoint',
    what: 'a floor is told that the older of the two kept checkpoints does not hold',
    edits: [
      {
        path: 'cloud-processor/src/floors/safe-floors.ts',
        find: '    return this.#older;',
        replace: '    return this.#newest;',
      },
    ],
    file: 'cloud-processor/test/floors/floor-messages.test.ts',
    test: 'are those of the older of two safe checkpoints',
  },
  {
    name: 'repeat-acked-early',
    what: 'a repeat is answered before its original is safe',
    edits: [
      {
        path: 'edge-agent/src/input-loop.ts',
        find: '    const { readings, quarantined } = taken;\n',
        replace:
          '    const { readings, quarantined } = taken;\n    if (readings.length + quarantined.length === 0) return delivery.ack();\n',
      },
    ],
    file: KILL_9,
    test: SLOW_COMMITS,
    rounds: 20,
  },
  {
    name: 'recovered-not-synced',
    what: 'what a start finds on the disk is trusted without being synced',
    edits: [
      {
        path: 'segment-log/src/recovery.ts',
        find: 'await file.truncate(segment.end);\n    await file.sync();\n',
        replace: 'await file.truncate(segment.end);\n',
      },
    ],
    file: CRASH_STATES,
    test: EVERY_STATE,
  },
  {
    name: 'processed-before-safe',
    what: 'readings are processed before their frame is on the disk',
    edits: [
      {
        path: 'edge-agent/src/input-loop.ts',
        find: '      if (readings.length > 0) queue.push({ first, readings });\n',
        replace: '',
      },
      {
        path: 'edge-agent/src/input-loop.ts',
        find: '    const { readings, quarantined } = taken;\n',
        replace:
          '    const { readings, quarantined } = taken;\n    if (readings.length > 0) queue.push({ first: (this.#parts.journal as unknown as { next: number }).next, readings });\n',
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
        path: 'edge-agent/src/ingest/intake.ts',
        find: 'new DuplicateMemory(config.readings.duplicatesRemembered)',
        replace: 'new DuplicateMemory(config.readings.duplicatesRemembered / 8)',
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
        path: 'edge-agent/src/recovery.ts',
        find: '        return await storage.journal.appendStart(item);',
        replace: '        return item.epoch === "" ? await storage.journal.appendStart(item) : storage.journal.next;',
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
        path: 'cloud-processor/src/window/window-operator.ts',
        find: '      lateWindows: this.#shared.lateWindows.snapshot(),\n',
        replace: '      lateWindows: this.#shared.lateWindows.snapshot().slice(0, 0),\n',
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
        path: 'cloud-processor/src/write/outbox-writer.ts',
        find: '        if (signal.aborted) break;\n',
        replace: '        if (!signal.aborted) return true;\n        if (signal.aborted) break;\n',
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
      {
        path: 'cloud-processor/src/sequence/sequencer.ts',
        find: '  if (last <= floor) return nothingNew(',
        replace: '  if (last < floor) return nothingNew(',
      },
      {
        path: 'cloud-processor/src/sequence/sequencer.ts',
        find: '  const from = records.findIndex((record) => lastNumber(record) > floor);\n',
        replace: '  const from = Math.max(0, records.findIndex((record) => lastNumber(record) > floor));\n',
      },
    ],
    file: 'tests/chaos/kill-two.test.ts',
    test: 'lose and double nothing between them',
    rounds: 20,
  },
];
