import path from 'node:path';

import { aggregateOf, epochMs, hours, NO_STATISTICS, rollupsRecord } from '@floorwatch/contracts';
import { describe, expect, it } from 'vitest';

import { DiskLaneSpool } from '../../edge-agent/src/spool/disk-lane-spool.ts';
import { encodeSpooled } from '../../edge-agent/src/spooled-record.ts';
import { resourcesPerTest } from '../support/index.ts';
import { ChaosFloor } from './harness/chaos-floor.ts';
import { chaosOptions, ifAsked, progress, repeatCommand, report } from './harness/chaos-options.ts';
import { drain, MemoryWatch } from './harness/drain.ts';

/** Hours without NATS; a day by `npm run chaos -- --scenario day-of-records --rounds 24`. */
const ROUNDS = 1;
const SENSORS = 100;
const STEP_MS = 10_000;
const STEPS_PER_HOUR = 3_600_000 / STEP_MS;
const DRAIN_PER_SECOND_MIN = 5_000;
const RESIDENT_BYTES_MAX = 150 * 1024 * 1024;
const MIB = 1024 * 1024;
const EPOCH = '1-0123456789abcdef';

const { rounds: hoursAway = ROUNDS, seed } = chaosOptions();
const RECORDS = hoursAway * STEPS_PER_HOUR * SENSORS;

/**
 * The agent gathers rollups of many sensors into one record. Here each is a record of its own, with a number of its own: the most
 * that ten readings a second can make.
 */
describe(`a lane that has gathered ${RECORDS} records in ${hoursAway} hours without a NATS server`, () => {
  const resources = resourcesPerTest();

  it(
    'is drained by the agent, every number once',
    async () => {
      const { agent, reader } = await ChaosFloor.create(resources, {
        seed,
        sensors: 1,
        readingsPerSecond: 1,
        processorLatenessSeconds: 3_600,
      });
      await fill(path.join(agent.dataDir, 'telemetry'), Date.now() - hours(hoursAway));
      const memory = new MemoryWatch(agent);
      await agent.start();
      const { seconds } = await drain(agent, memory);
      await reader.read();
      const readings = [...reader.oracle.windows.values()].reduce((sum, { n }) => sum + n, 0);
      report('day-of-records', {
        hours: hoursAway,
        'records of a number of their own': RECORDS,
        'lost or doubled': RECORDS - readings,
        'drained in seconds': Math.round(seconds * 10) / 10,
        'records drained per second': Math.round(RECORDS / seconds),
        'resident MiB, highest': Math.round(memory.highest / MIB),
        'resident MiB after the first tenth': Math.round(memory.early / MIB),
        repeat: repeatCommand('day-of-records', seed, hoursAway),
      });
      expect(reader.oracle.violations()).toEqual([]);
      expect(reader.oracle.gaps).toEqual([]);
      expect(readings).toBe(RECORDS);
      const minutes = [...reader.oracle.windows.values()].filter(({ n }) => n === 6).length;
      expect(minutes).toBeGreaterThanOrEqual(RECORDS / 6 - SENSORS);
      expect(ifAsked(seconds)).toBeLessThan(RECORDS / DRAIN_PER_SECOND_MIN);
      expect(memory.highest).toBeLessThan(RESIDENT_BYTES_MAX);
    },
    180_000 + hoursAway * 60_000,
  );
});

/** Puts the records of virtual time into the real log, those of a step together, as a gateway does at its ticks. */
async function fill(directory: string, from: number): Promise<void> {
  const { spool } = await DiskLaneSpool.open({
    lane: 'telemetry',
    directory,
    durability: 'power',
    bytesMax: 2_048 * MIB,
    whenFull: 'refuse',
  });
  const sensors = Array.from({ length: SENSORS }, (_, i) => ({ device: `device ${i}`, metric: 'load' }));
  const base = from - (from % STEP_MS);
  let number = 1;
  let position = 1;
  const started = { kind: 'start', number: 1, predecessor: null, at: epochMs(base), clock: 'synchronised' } as const;
  const begins = encodeSpooled({ record: started, sensors: [], position, at: epochMs(base), epoch: EPOCH });
  await spool.append([begins], { now: true, epoch: EPOCH });
  for (let step = 0; step < hoursAway * STEPS_PER_HOUR; step++) {
    const at = base + step * STEP_MS;
    position += SENSORS;
    const records = sensors.map((sensor, i) => {
      number += 1;
      const aggregate = aggregateOf(step + i / 100, at + i, false, false);
      const record = rollupsRecord(number, [{ sensor: 0, start: at, aggregate, moving: NO_STATISTICS }]);
      return encodeSpooled({ record, sensors: [sensor], position, at: epochMs(at) });
    });
    await spool.append(records, { now: true });
    if (step % STEPS_PER_HOUR === 0) progress(`${number} records in the lane`);
  }
  await spool.close();
}
