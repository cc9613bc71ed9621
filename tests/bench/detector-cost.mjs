// Measures what the detectors cost, in a process of its own over built code: the test runner's module loader would slow every call.
// Prints one JSON object. Takes what to measure and of which: cost NAME, memory SENSORS or engine SENSORS; one thing per process, because
// what one has left behind, pages or types that the compiler has seen, would be counted to the next.
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

import {
  AdaptiveDetector,
  CountWindow,
  engineConfigSchema,
  IntervalDetector,
  SensorEngine,
  StuckDetector,
} from '@floorwatch/edge-agent';

const SENSORS = 10_000;
/** Readings of each sensor before the first is measured: the warm-ups are over, and first visits have become rare. */
const WARM_UP = 1_200;
const MEASURED = 150;
const STEP_MS = 10_000;
/** The engine also makes rollups of 10 s: at a reading a second, one of ten readings. */
const ENGINE_STEP_MS = 1_000;
const START = Date.UTC(2026, 0, 5);
const off = { enabled: false };
const PLAIN = { adaptive: off, stuck: off, silent: off, noise: off, clock: off };

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc');

const [what = '', which = ''] = process.argv.slice(2);
const measurements = {
  cost: () => costOf(which),
  memory: () => memoryOf(Number(which)),
  engine: () => engineMemoryOf(Number(which)),
};
process.stdout.write(JSON.stringify(measurements[what]()));

/** Nanoseconds per reading of each round, over sensors in turn: the row of a sensor has left the cache before it comes again. */
function measure(accept, stepMs = STEP_MS) {
  const times = new Float64Array(SENSORS);
  const values = new Float64Array(SENSORS);
  const noise = Float64Array.from({ length: 4096 }, (_, index) => Math.sin(index * index));
  const rounds = [];
  let allocated = 0;
  for (let round = 0; round < WARM_UP + MEASURED; round += 1) {
    for (let sensor = 0; sensor < SENSORS; sensor += 1) {
      times[sensor] = START + round * stepMs;
      values[sensor] = 20 + 5 * Math.sin(round / 50 + sensor) + noise[(sensor * 7 + round * 131) & 4095];
    }
    const heap = process.memoryUsage().heapUsed;
    const started = performance.now();
    for (let sensor = 0; sensor < SENSORS; sensor += 1) accept(times, values, sensor);
    const ended = performance.now();
    if (round < WARM_UP) continue;
    rounds.push(((ended - started) * 1e6) / SENSORS);
    allocated += Math.max(0, process.memoryUsage().heapUsed - heap);
  }
  rounds.sort((a, b) => a - b);
  return { median: rounds[rounds.length >> 1], best: rounds[0], bytesAllocated: allocated / MEASURED / SENSORS };
}

function costOf(name) {
  const adaptive = new AdaptiveDetector();
  const stuck = new StuckDetector();
  const interval = new IntervalDetector();
  const window = new CountWindow(64);
  window.reserve(SENSORS);
  let flagged = 0;
  const accepts = {
    'z-score': (times, values, index) => {
      const deviation = window.deviation(index, values[index]);
      if (deviation * deviation > 25 * window.variance(index)) flagged += 1;
      window.add(index, times[index], values[index]);
    },
    adaptive: (times, values, index) => void adaptive.accept(index, times, values, index),
    stuck: (_, values, index) => void stuck.accept(index, values, index),
    interval: (times, _, index) => void interval.accept(index, times, index),
  };
  if (name === 'plain-engine') return measure(engineOf(PLAIN), ENGINE_STEP_MS);
  if (name === 'engine') return measure(engineOf({}), ENGINE_STEP_MS);
  return measure(accepts[name]);
}

/** Everything that the agent does with a reading between its decoder and its spool. */
function engineOf(options) {
  const { engine, readings, out } = engineWith(SENSORS, options);
  return (times, values, index) => {
    const reading = readings[index];
    reading.eventTime = times[index];
    reading.value = values[index];
    engine.accept(reading, out);
    // As often as the gateway's clock ticks: every 5 s of the readings' time.
    if (index === 0) engine.advance({ now: times[0], synchronised: true, sinceStartMs: 3_600_000 }, out);
  };
}

function engineWith(sensors, options) {
  const engine = new SensorEngine(engineConfigSchema.parse(options), { site: 'site', gateway: 'gateway' });
  const readings = Array.from({ length: sensors }, (_, sensor) => ({
    device: `device-${Math.floor(sensor / 10)}`,
    metric: `metric-${sensor % 10}`,
    eventTime: START,
    value: 20,
    quality: 'good',
  }));
  return { engine, readings, out: { emit: () => {} } };
}

function engineMemoryOf(sensors) {
  collect();
  const before = process.memoryUsage().rss;
  const { engine, readings, out } = engineWith(sensors, {});
  for (const reading of readings) engine.accept(reading, out);
  engine.advance({ now: START, synchronised: true, sinceStartMs: 3_600_000 }, out);
  engine.accept({ ...readings[0], eventTime: START + 60_000 }, out);
  engine.advance({ now: START + 60_000, synchronised: true, sinceStartMs: 3_660_000 }, out);
  collect();
  return { sensors, resident: (process.memoryUsage().rss - before) / sensors };
}

function memoryOf(sensors) {
  collect();
  const before = process.memoryUsage().rss;
  const adaptive = new AdaptiveDetector();
  const stuck = new StuckDetector();
  const interval = new IntervalDetector();
  const [times, values] = [Float64Array.of(START), Float64Array.of(20)];
  for (let sensor = 0; sensor < sensors; sensor += 1) {
    adaptive.accept(sensor, times, values, 0);
    stuck.accept(sensor, values, 0);
    interval.accept(sensor, times, 0);
  }
  const state = AdaptiveDetector.bytesPerSensor + StuckDetector.bytesPerSensor + IntervalDetector.bytesPerSensor;
  return { sensors, state, resident: (process.memoryUsage().rss - before) / sensors };
}
