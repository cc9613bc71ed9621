// Batches of rollups as gateways send them while they catch up: per gateway and 10 s of event time one record with a rollup of every sensor,
// and the tick behind it, which seals windows as time goes on.
import {
  addReading,
  aggregateOf,
  encodeBatch,
  epochMs,
  ingestSubject,
  limits,
  ROLLUP_MS,
  rollupsRecord,
} from '@floorwatch/contracts';

const START = Date.UTC(2026, 2, 2, 8);
const READINGS_PER_ROLLUP = 10;
const READING_EVERY_MS = 1_000;
const METRICS = ['temperature', 'pressure', 'vibration', 'current', 'flow'];
const UNITS = ['°C', 'bar', 'mm/s', 'A', 'l/min'];

/** A sensor's number within its gateway gives it a name, a level and a noise of its own. */
const sensorOf = (index) => {
  const metric = index % METRICS.length;
  const device = `press-${String(Math.floor(index / METRICS.length)).padStart(3, '0')}`;
  return { device, metric: METRICS[metric], unit: UNITS[metric] };
};

/** Values with three decimals, as a sensor of twelve or more bits gives them. */
const valueOf = (sensor, reading) =>
  Math.round((20 + (sensor % 50) + Math.sin(reading * 0.37 + sensor) + Math.sin(reading * 7.13) * 0.3) * 1_000) / 1_000;

/**
 * @param gateways how many, all of one site.
 * @param sensors of each gateway.
 * @param buckets steps of event time.
 * @yields `{ subject, data, rollups }`, bucket by bucket, the gateways in turn.
 */
export function* rollupBatches({ gateways, sensors, buckets }) {
  const names = Array.from({ length: sensors }, (_, index) => sensorOf(index));
  const numbers = Array.from({ length: gateways }, () => 0);
  for (let bucket = 0; bucket < buckets; bucket++) {
    for (let gateway = 0; gateway < gateways; gateway++) {
      const head = { schema: 1, site: 'plant-1', gateway: `gateway-${gateway + 1}`, lane: 'telemetry' };
      for (let begin = 0; begin < sensors; begin += limits.rollupsPerRecordMax) {
        const end = Math.min(sensors, begin + limits.rollupsPerRecordMax);
        const rollups = Array.from({ length: end - begin }, (_, i) => rollupOf(gateway, begin + i, i, bucket));
        const records = [rollupsRecord(++numbers[gateway], rollups)];
        if (end === sensors) records.push(tickBehind(++numbers[gateway], bucket));
        const batch = { ...head, epoch: '1-00000001', sensors: names.slice(begin, end), records };
        yield { subject: ingestSubject(batch), data: encodeBatch(batch), rollups: rollups.length };
      }
    }
  }
}

function rollupOf(gateway, sensor, place, bucket) {
  const start = START + bucket * ROLLUP_MS;
  const first = bucket * READINGS_PER_ROLLUP + gateway * 1_000_003;
  const aggregate = aggregateOf(valueOf(sensor, first), start + (sensor % READING_EVERY_MS), false, false);
  for (let reading = 1; reading < READINGS_PER_ROLLUP; reading++) {
    const at = start + reading * READING_EVERY_MS + (sensor % READING_EVERY_MS);
    addReading(aggregate, valueOf(sensor, first + reading), at, false, false);
  }
  const mean = aggregate.reference + aggregate.mean;
  const sd = Math.sqrt(aggregate.m2 / aggregate.n);
  const moving = {
    countMean: mean * 1.001,
    countSd: sd * 1.1,
    timeMean: mean * 0.999,
    timeSd: sd * 1.2,
    ewMean: mean * 1.0005,
    ewSd: sd * 1.3,
  };
  // Any bits do: what they are the hash of does not matter here.
  const hash = { high: Math.imul(first, 0x9e3779b1) >>> 0, low: Math.imul(sensor + first, 0xc2b2ae3d) >>> 0 };
  return { sensor: place, start, aggregate, moving, hash };
}

const tickBehind = (number, bucket) => {
  const watermark = epochMs(START + (bucket + 1) * ROLLUP_MS);
  return { kind: 'tick', number, watermark, at: epochMs(watermark + 2_000), clock: 'synchronised' };
};
