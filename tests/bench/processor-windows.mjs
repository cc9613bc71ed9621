// Measures what 100,000 open windows cost one partition, in a process of its own over built code. Prints one JSON object.
//
//   node --expose-gc processor-windows.mjs hold <folder>
//       memory per open window, and checkpoints of them: { windows, bytes, arrayBytes, stretches, fileBytes }
//   node processor-windows.mjs load <folder>
//       milliseconds from the start of the process until the checkpoint in <folder> is loaded, and the processor time of its main thread:
//       { windows, milliseconds, cpuMilliseconds }
import { readFileSync } from 'node:fs';

import { Pipeline, processorConfigSchema } from '@floorwatch/cloud-processor';
import { epochMs } from '@floorwatch/contracts';
import { createLogger, VERSION } from '@floorwatch/runtime';

import { CheckpointFile } from '../../cloud-processor/dist/checkpoint/checkpoint-file.js';
import { deafObserver } from '../../cloud-processor/dist/floor-observer.js';
import { assemblePartition } from '../../cloud-processor/dist/partition-parts.js';
import { rollupBatches } from './rollup-batches.mjs';

/** With three window sizes 100,002 windows. */
const SENSORS = 33_334;
const CHECKPOINTS = 20;

const [job, folder] = process.argv.slice(2);
const config = processorConfigSchema.parse({
  dataDir: folder,
  store: { kind: 'duckdb', file: 'not used' },
  logLevel: 'warn',
});
const logger = createLogger('processor', config.logLevel);
const store = { lingerMs: 0 };
const jobs = { hold, load };

async function hold() {
  // The first partition brings code and names into memory, the second one is measured.
  const batches = [...rollupBatches({ gateways: 1, sensors: SENSORS, buckets: 2 })];
  const number = Number(batches[0].subject.split('.')[2]);
  const half = batches.length / 2;
  fill(assemble(number), batches.slice(0, half));
  const before = memory();
  const lane = assemble(number);
  fill(lane, batches.slice(0, half));
  const after = memory();
  const { partition } = lane.runner;
  const windows = partition.windows.openWindows;
  const stretches = [];
  for (let i = 0; i < CHECKPOINTS; i++) {
    apply(partition, batches[half + i], half + i);
    const stretch = longestStretch();
    await lane.runner.checkpoint();
    stretches.push(await stretch.stop());
  }
  return {
    windows,
    bytes: (after.all - before.all) / windows,
    arrayBytes: (after.arrays - before.arrays) / windows,
    stretches,
    fileBytes: lane.runner.checkpoints.bytes,
  };
}

function assemble(number) {
  const { windows, stream } = config;
  return assemblePartition({
    number,
    windows,
    streamAgeMax: stream.ageMax,
    file: new CheckpointFile(folder, number, VERSION),
    loaded: { from: undefined, isPrevious: false },
    store,
    deadLetters: { flush: async () => undefined, addBatch: () => undefined, hasRoom: true },
    observer: deafObserver,
    logger,
  });
}

function fill({ runner: { partition } }, batches) {
  for (const [i, batch] of batches.entries()) apply(partition, batch, i);
}

function apply(partition, { subject, data }, i) {
  partition.apply({ subject, data, sequence: i + 1, storedAt: epochMs(0) }, epochMs(0));
}

function memory() {
  globalThis.gc();
  globalThis.gc();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return { all: heapUsed + arrayBuffers, arrays: arrayBuffers };
}

/** The longest stretch of processor time, in milliseconds, in which the main thread did nothing else. What others do meanwhile does not count. */
function longestStretch() {
  let [longest, last, running] = [0, mainThreadMs(), true];
  const look = () => {
    const now = mainThreadMs();
    longest = Math.max(longest, now - last);
    last = now;
    if (running) setImmediate(look);
  };
  setImmediate(look);
  return {
    stop: async () => {
      running = false;
      await new Promise((resolve) => setImmediate(resolve));
      return longest;
    },
  };
}

/** Linux counts nanoseconds per thread, and the main thread has the number of its process. */
function mainThreadMs() {
  return Number(readFileSync(`/proc/self/task/${process.pid}/schedstat`, 'latin1').split(' ')[0]) / 1e6;
}

async function load() {
  const pipeline = new Pipeline({ config, store, observer: deafObserver, logger });
  await pipeline.open();
  const [milliseconds, cpuMilliseconds] = [performance.now(), mainThreadMs()];
  const windows = pipeline.lanes.reduce((sum, { runner }) => sum + runner.partition.windows.openWindows, 0);
  await pipeline.close();
  return { windows, milliseconds, cpuMilliseconds };
}

process.stdout.write(JSON.stringify(await jobs[job]()));
