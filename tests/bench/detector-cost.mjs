// Measures what the detectors cost, in a process of its own over built code: the test runner's module loader would slow every call.
// Prints one JSON object. Takes what to measure and of which: cost NAME, allocation NAME, memory SENSORS or engine SENSORS; one thing per process,
// because what one has left behind, pages or types that the compiler has seen, would be counted to the next. For allocations, the space for
// new objects must be so large that none is collected meanwhile.
import { setTimeout as pause } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

import {
  AdaptiveDetector,
  CountWindow,
  engineConfigSchema,
  IntervalDetector,
  Judges,
  ReadingInHand,
  RecentReadings,
  SensorEngine,
  SensorRows,
  SensorStatistics,
  StuckDetector,
} from '@floorwatch/edge-agent';

const SENSORS = 10_000;
/** Readings of each sensor before the first is measured: the warm-ups are over, and first visits have become rare. */
const WARM_UP = 1_200;
/**
 * Rounds that are measured together: at a reading a second, each sensor has one rollup in them. Detectors close a block every hundred readings; sensors
 * begin in different rounds, so that each stretch has its share of these as well.
 */
const STRETCH = 10;
const STRETCHES = 15;
const BLOCK = 100;
const STEP_MS = 1_000;
/** How often the gateway's clock ticks. */
const TICK_ROUNDS = 5;
const START = Date.UTC(2026, 0, 5);
const off = { enabled: false };
const PLAIN = { adaptive: off, stuck: off, silent: off, noise: off, clock: off };

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc');

const [what = '', which = ''] = process.argv.slice(2);
const measurements = {
  cost: () => costOf(subjects[which]()),
  allocation: () => allocationOf(subjects[which]()),
  memory: () => memoryOf(Number(which)),
  engine: () => engineMemoryOf(Number(which)),
};
/** What is measured: each makes what takes in the reading at an index of the columns, which is that of the sensor at that slot. */
const subjects = {
  'z-score': () => {
    const window = new CountWindow(64);
    window.reserve(SENSORS);
    const hand = new ReadingInHand();
    let flagged = 0;
    return (times, values, index) => {
      const deviation = window.deviation(index, values[index]);
      if (deviation * deviation > 25 * window.variance(index)) flagged += 1;
      window.add(index, hand.set(times[index], values[index]));
    };
  },
  adaptive: () => {
    const adaptive = new AdaptiveDetector();
    return (times, values, index) => void adaptive.accept(index, times, values, index);
  },
  stuck: () => {
    const stuck = new StuckDetector();
    return (_, values, index) => void stuck.accept(index, values, index);
  },
  interval: () => {
    const interval = new IntervalDetector();
    return (times, _, index) => void interval.accept(index, times, index);
  },
  scoring: scoringOf,
  'plain-engine': () => engineOf(PLAIN),
  engine: () => engineOf({}),
};

process.stdout.write(JSON.stringify(await measurements[what]()));

/** Rounds over sensors in turn: the row of a sensor has left the cache before it comes again. Gives what `take` makes of each stretch. */
function stretchesOf(accept, stretches, take) {
  const times = new Float64Array(SENSORS);
  const values = new Float64Array(SENSORS);
  const noise = Float64Array.from({ length: 4096 }, (_, index) => Math.sin(index * index));
  const next = (round) => {
    times.fill(START + round * STEP_MS);
    for (let sensor = 0; sensor < SENSORS; sensor += 1) {
      values[sensor] = 20 + 5 * Math.sin(round / 50 + sensor) + noise[(sensor * 7 + round * 131) & 4095];
    }
  };
  for (let round = 0; round < WARM_UP; round += 1) {
    next(round);
    for (let sensor = 0; sensor < SENSORS; sensor += 1) if (round >= sensor % BLOCK) accept(times, values, sensor);
  }
  return Array.from({ length: stretches }, (_, stretch) => {
    let sum = 0;
    for (let round = 0; round < STRETCH; round += 1) {
      next(WARM_UP + stretch * STRETCH + round);
      const before = take();
      for (let sensor = 0; sensor < SENSORS; sensor += 1) accept(times, values, sensor);
      sum += take() - before;
    }
    return sum / (STRETCH * SENSORS);
  });
}

/** Nanoseconds per reading. */
function costOf(accept) {
  const costs = stretchesOf(accept, STRETCHES, () => performance.now() * 1e6).sort((a, b) => a - b);
  return { median: costs[costs.length >> 1], best: costs[0] };
}

/** Bytes per reading, of one stretch: more would not fit. */
function allocationOf(accept) {
  let begun = false;
  const [bytes] = stretchesOf(accept, 1, () => {
    if (!begun) collect();
    begun = true;
    return process.memoryUsage().heapUsed;
  });
  if (bytes < 0) throw new Error('objects were collected meanwhile: the space for new ones is too small');
  return { bytes };
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

/** Everything that the agent does with a reading between its decoder and its spool. */
function engineOf(options) {
  const { engine, readings, out } = engineWith(SENSORS, options);
  let round = 0;
  return (times, values, index) => {
    const reading = readings[index];
    reading.eventTime = times[index];
    reading.value = values[index];
    engine.accept(reading, out);
    if (index > 0 || (round += 1) % TICK_ROUNDS > 0) return;
    engine.advance({ now: times[0], synchronised: true, sinceStartMs: 3_600_000 }, out);
  };
}

/** What `stats` and `score` do with a reading: moving statistics, every detector, and the episodes. Sensors have their slots already. */
function scoringOf() {
  const config = engineConfigSchema.parse({});
  const rows = new SensorRows();
  const statistics = new SensorStatistics(config.statistics, rows);
  const recent = new RecentReadings(rows);
  const { readings, out } = engineWith(SENSORS, {});
  const context = {
    sensor: (slot) => readings[slot],
    moving: (slot) => statistics.snapshot(slot),
    before: (slot) => recent.list(slot),
  };
  const gateway = { site: 'site', gateway: 'gateway' };
  const newestValue = (slot) => readings[slot].value;
  const judges = new Judges(config, { gateway, context, rows, statistics, newestValue, further: [] });
  for (const [slot, sensor] of readings.entries()) {
    statistics.reserve(slot + 1);
    recent.reserve(slot + 1);
    judges.addSensor(slot, sensor);
  }
  const hand = new ReadingInHand();
  return (times, values, slot) => {
    const reading = readings[slot];
    reading.eventTime = times[slot];
    reading.value = values[slot];
    rows.touch(slot);
    hand.set(times[slot], values[slot]);
    judges.judge(slot, reading, hand, out);
    statistics.add(slot, hand);
    recent.add(slot, hand);
  };
}

/** Resident bytes when garbage is collected, and the memory of arrays that have been replaced by larger ones has been given back. */
async function residentBytes() {
  for (let time = 0; time < 2; time += 1) {
    collect();
    await pause(500);
  }
  return process.memoryUsage().rss;
}

async function engineMemoryOf(sensors) {
  const before = await residentBytes();
  const { engine, readings, out } = engineWith(sensors, {});
  for (const reading of readings) engine.accept(reading, out);
  engine.advance({ now: START, synchronised: true, sinceStartMs: 3_600_000 }, out);
  engine.accept({ ...readings[0], eventTime: START + 60_000 }, out);
  engine.advance({ now: START + 60_000, synchronised: true, sinceStartMs: 3_660_000 }, out);
  const resident = ((await residentBytes()) - before) / sensors;
  // So that nothing of it could be collected before.
  if (engine.sensorCount !== readings.length) throw new Error('the engine does not have all sensors');
  return { sensors, resident };
}

async function memoryOf(sensors) {
  const before = await residentBytes();
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
  const resident = ((await residentBytes()) - before) / sensors;
  if (adaptive.table.size === 0) throw new Error('the detectors have no sensors');
  return { sensors, state, resident };
}
