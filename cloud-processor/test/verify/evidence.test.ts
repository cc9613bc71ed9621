import { copyFile } from 'node:fs/promises';
import { join } from 'node:path';

import { DuckDBInstance } from '@duckdb/node-api';
import { COUNT_MS, days, epochMs, partitionOf } from '@floorwatch/contracts';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { resourcesPerTest } from '../../../tests/support/index.ts';
import { encodeCheckpoint } from '../../src/checkpoint/format.ts';
import { processorLimits } from '../../src/limits.ts';
import { Evidence, evidenceAt } from '../../src/verify/evidence.ts';
import type { StoredBefore } from '../../src/stored-gateway.ts';
import { addsUp, describeReport, isProven } from '../../src/verify/describe-report.ts';
import { type StoreConfig, storeConfigSchema } from '../../src/write/store-config.ts';
import { BASE, batchOf, GATEWAY, messageOf, MINUTE, rollups, tick } from '../support/floor.ts';
import { MemoryStore } from '../support/memory-store.ts';
import { noInflux, startTestInflux, type TestInflux } from '../write/influx-server.ts';
import { gatewayRow } from '../write/sample-rows.ts';
import { CountingGateway, hoursOf } from './counting-gateway.ts';
import { Floor, shown } from './stored-floor.ts';

const HOURS = 2;
const ALL_TABLES = ['window', 'anomaly', 'counted', 'counted_episodes', 'gateway', 'late'];
const never = new AbortController().signal;
const resources = resourcesPerTest();

/** Which rows are removed, with `from` ≤ time < `to`. */
interface Removal {
  readonly gateway?: string;
  readonly metric?: string;
  readonly from?: number;
  readonly to?: number;
}

/** A store, and how somebody removes rows of it behind the processor's back. */
interface Victim {
  readonly config: StoreConfig;
  readonly remove: (which: Removal) => Promise<void>;
}

let influx: TestInflux;

async function duckdb(): Promise<Victim> {
  const file = join(await resources.directory(), 'store.duckdb');
  const config = storeConfigSchema.parse({ kind: 'duckdb', file, retentionDays: 0 });
  return {
    config,
    async remove({ gateway, metric, from = 0, to = 4e12 }) {
      const instance = await DuckDBInstance.fromCache(file, { memory_limit: '256MiB' });
      const connection = await instance.connect();
      for (const table of ALL_TABLES) {
        if (metric !== undefined && !['window', 'counted', 'late'].includes(table)) continue;
        const where = [`time >= make_timestamp(${from * 1_000})`, `time < make_timestamp(${to * 1_000})`];
        if (gateway !== undefined) where.push(`gateway = '${gateway}'`);
        if (metric !== undefined) where.push(`metric = '${metric}'`);
        await connection.run(`DELETE FROM "${table}" WHERE ${where.join(' AND ')}`);
      }
      connection.closeSync();
      instance.closeSync();
    },
  };
}

async function influxdb(): Promise<Victim> {
  const config = await influx.freshConfig(0);
  return {
    config,
    async remove({ gateway, metric, from = 0, to = 4e12 }) {
      const tags = { gateway, metric };
      const predicate = Object.entries(tags).flatMap(([tag, value]) =>
        value === undefined ? [] : `${tag}="${value}"`,
      );
      const range = { start: new Date(from).toISOString(), stop: new Date(to - 1).toISOString() };
      const query = new URLSearchParams({ org: config.org, bucket: config.bucket }).toString();
      const response = await fetch(`${config.url}/api/v2/delete?${query}`, {
        method: 'POST',
        headers: { authorization: `Token ${influx.token}`, 'content-type': 'application/json' },
        body: JSON.stringify({ ...range, ...(predicate.length > 0 && { predicate: predicate.join(' AND ') }) }),
      });
      expect(response.status).toBe(204);
    },
  };
}

/** Two gateways with the same hours, of which everything is stored. */
async function filled(config: StoreConfig): Promise<Floor> {
  const floor = await Floor.open(config, resources);
  const second = new CountingGateway('gw-2');
  for (const gateway of [floor.gateway, second]) {
    gateway.report();
    hoursOf(gateway, HOURS);
    gateway.tick(BASE + HOURS * COUNT_MS + MINUTE);
    floor.apply(gateway);
  }
  await floor.write();
  return floor;
}

/** The differences of one gateway, without those of windows larger than a minute. */
async function differences(floor: Floor, gateway: string): Promise<string[]> {
  const { differences: all } = await floor.verify({ gateway });
  return shown(all.filter(({ size }) => size === null || size === '1m'));
}

/** What is said of an hour of which nothing is left. */
const gone = (hour: number): string[] => [
  `taken gateway 1m hour ${hour}: 720 told, 0 stored`,
  `taken gateway - hour ${hour}: 1 told, 0 stored`,
];

/** What must hold whichever store it is. */
function itNoticesWhatIsGone(open: () => Promise<Victim>): void {
  it('adds up with all that is stored, and tells that everything was deleted, of every gateway and hour', async () => {
    const { config, remove } = await open();
    const floor = await filled(config);
    const status = await floor.verified({});
    expect([shown(status.report!.differences), addsUp(status), isProven(status)]).toEqual([[], true, true]);
    await remove({});
    for (const gateway of ['gw-1', 'gw-2']) {
      const found = await differences(floor, gateway);
      expect(found.toSorted()).toEqual([...[0, 1].flatMap(gone), 'report gateway -: - told, - stored'].toSorted());
    }
  });

  it('tells that the rows of one gateway were deleted, and of no other', async () => {
    const { config, remove } = await open();
    const floor = await filled(config);
    await remove({ gateway: 'gw-2' });
    expect(await differences(floor, 'gw-1')).toEqual([]);
    expect(await differences(floor, 'gw-2')).toHaveLength(2 * HOURS + 1);
  });

  it('tells that a sensor, or an hour, was removed with its counts', async () => {
    const { config, remove } = await open();
    const floor = await filled(config);
    await remove({ gateway: 'gw-1', metric: 'pressure' });
    await remove({ gateway: 'gw-2', from: BASE + COUNT_MS, to: BASE + 2 * COUNT_MS });
    expect(await differences(floor, 'gw-1')).toEqual(
      [0, 1].map((hour) => `taken gateway 1m hour ${hour}: 720 told, 360 stored`),
    );
    expect(await differences(floor, 'gw-2')).toEqual(gone(1));
  });

  it('tells that what was written since a backup is not there', async () => {
    const { config, remove } = await open();
    const floor = await Floor.open(config, resources);
    hoursOf(floor.gateway, HOURS - 1);
    floor.gateway.tick(BASE + (HOURS - 1) * COUNT_MS + MINUTE);
    floor.apply();
    await floor.write();
    const backup = async (from: string, to: string): Promise<void> => {
      await floor.reopen(config, async () => copyFile(from, to));
    };
    if (config.kind === 'duckdb') await backup(config.file, `${config.file}.backup`);
    hoursOf(floor.gateway, HOURS, HOURS - 1);
    floor.gateway.tick(BASE + HOURS * COUNT_MS + MINUTE);
    floor.apply();
    await floor.write();
    expect(await differences(floor, 'gw-1')).toEqual([]);
    if (config.kind === 'duckdb') await backup(`${config.file}.backup`, config.file);
    else await remove({ from: BASE + (HOURS - 1) * COUNT_MS });
    expect(await differences(floor, 'gw-1')).toEqual(gone(HOURS - 1));
  });
}

describe('evidence in the checkpoint, with rows in a DuckDB file', () => {
  itNoticesWhatIsGone(duckdb);
});

describe.skipIf(noInflux !== undefined)(
  `evidence in the checkpoint, with rows in InfluxDB${noInflux === undefined ? '' : ` (${noInflux})`}`,
  () => {
    beforeAll(async () => {
      influx = await startTestInflux();
    });
    afterAll(async () => influx.stop());
    itNoticesWhatIsGone(influxdb);
  },
);

function gatewayOfTheSamePartition(): string {
  for (let i = 0; ; i++) {
    if (partitionOf({ site: GATEWAY.site, gateway: `other-${i}` }) === partitionOf(GATEWAY)) return `other-${i}`;
  }
}

/** What the sums take in a checkpoint, in bytes. */
function bytesOf(evidence: Evidence): number {
  const state = new Floor(new MemoryStore()).partition.capture();
  const bytes = (from: typeof state): number => Buffer.byteLength([...encodeCheckpoint(from, '')].join(''));
  return bytes({ ...state, evidence: evidence.snapshot() }) - bytes(state);
}

describe('evidence in the checkpoint', () => {
  let store: MemoryStore;

  async function begun(
    hours = HOURS,
    more: (gateway: CountingGateway) => void = () => undefined,
    before?: StoredBefore,
  ): Promise<Floor> {
    store = new MemoryStore();
    await store.connect(never);
    const floor = new Floor(store);
    if (before !== undefined) floor.partition.recover(before, undefined);
    floor.gateway.report();
    hoursOf(floor.gateway, hours);
    more(floor.gateway);
    floor.apply();
    await floor.write();
    return floor;
  }

  it('tells that nothing is stored of a gateway that has sent nothing but reports', async () => {
    const floor = await begun(0);
    store.remove(() => true);
    expect(await differences(floor, 'gw-1')).toEqual(['report gateway -: - told, - stored']);
  });

  it('tells of a removed hour although late readings arrive in it all the time', async () => {
    const floor = await begun();
    floor.gateway.accept({ sensor: 0, at: BASE + 5, value: 1 });
    floor.apply();
    expect(await differences(floor, 'gw-1')).toEqual([]);
    store.remove((row) => row.table === 'window' && row.start === BASE && row.size === 60_000);
    expect(await differences(floor, 'gw-1')).toEqual([
      'readings press-01/temperature 1m hour 0: 360 told, 355 stored',
      'readings press-01/pressure 1m hour 0: 360 told, 354 stored',
      'taken gateway 1m hour 0: 721 told, 709 stored',
    ]);
  });

  it('tells of removed anomalies of an hour while records of another hour are on their way', async () => {
    const floor = await begun();
    floor.gateway.episode(HOURS * 3_600 - 30, 'opened');
    floor.gateway.tick(BASE + HOURS * COUNT_MS + 1);
    floor.apply(floor.gateway, 'telemetry');
    expect((await floor.verify()).gateways[0]!.episodes).toMatchObject({ inFlight: 1, hours: HOURS - 1 });
    store.remove((row) => row.table === 'anomaly' && row.openedAt < BASE + COUNT_MS);
    expect(await differences(floor, 'gw-1')).toEqual(
      ['opened', 'closed'].map((phase) => `${phase} gateway - hour 0: 1 told, 0 stored`),
    );
  });

  it('is not proven for hours before a loss of checkpoints, and says since when it is', async () => {
    const floor = await begun(HOURS, (gateway) => gateway.trim(5));
    floor.gateway.tick(BASE + HOURS * COUNT_MS + MINUTE);
    floor.apply();
    // The alarm of the lost numbers is over.
    const status = await floor.verified({}, BASE + days(2));
    expect([status.report!.ok, addsUp(status), isProven(status)]).toEqual([true, true, false]);
    expect(status.report!.gateways[0]!.evidence).toEqual({
      since: BASE + (HOURS + 2) * COUNT_MS,
      isWhole: false,
    });
    const lines = describeReport(status);
    expect(lines.at(-1)).toMatch(/^NOT PROVEN/);
    expect(lines.join('\n')).toContain('evidence: since 2026-03-02T12:00:00Z');
  });

  it('is not proven where the checkpoint does not know a gateway that is stored', async () => {
    const floor = await begun();
    const gateway = gatewayOfTheSamePartition();
    await store.write([gatewayRow({ gateway })], never);
    const status = await floor.verified({});
    expect([status.report!.unknown, isProven(status)]).toEqual([[{ site: GATEWAY.site, gateway }], false]);
    expect(describeReport(status).join('\n')).toContain(`${GATEWAY.site}/${gateway}  the store has reports of it`);
  });

  it('is not proven, and nothing is, where nothing was taken yet', async () => {
    store = new MemoryStore();
    await store.connect(never);
    expect(isProven(await new Floor(store).verified({}))).toBe(false);
  });

  it('does not add up while an alarm stands, and does again when it is over', async () => {
    const floor = await begun(HOURS, (gateway) => {
      gateway.trim(5);
      gateway.tick(BASE + HOURS * COUNT_MS + MINUTE);
    });
    const [alarm] = (await floor.verified({}, BASE + days(1) / 2)).report!.differences;
    expect(alarm).toMatchObject({ kind: 'alarm', finding: expect.stringContaining('"trimmed"') as string });
    expect((await floor.verified({}, BASE + days(2))).report!.differences).toEqual([]);
  });

  it('does not add up for a week after somebody has sent in the name of the gateway', async () => {
    const floor = await begun(HOURS);
    const last = floor.partition.capture().sources.find(({ lane }) => lane === 'telemetry')!.epochs[0]![1];
    const another = batchOf([tick(last, BASE)], { epoch: floor.partition.capture().sources[0]!.takenFrom! });
    floor.partition.apply({ ...messageOf(another, 1_000), storedAt: epochMs(BASE) }, epochMs(BASE));
    for (const [later, kinds] of [
      [days(6), ['alarm']],
      [days(8), []],
    ] as const) {
      const { report } = await floor.verified({}, BASE + later);
      expect(report!.differences.map(({ kind }) => kind)).toEqual(kinds);
    }
  });

  it('is compared after a start from the earlier checkpoint, also in a partition in which nothing happens any more', async () => {
    const far = BASE + days(1);
    const stored = { ...GATEWAY, windowsTo: far, episodesTo: far, runs: [] };
    const floor = await begun(HOURS, undefined, { gateways: [stored], runsTo: 0 });
    expect(floor.partition.capture().comparing).toBe(true);
    expect(await differences(floor, 'gw-1')).toEqual([]);
    store.remove((row) => row.table !== 'gateway');
    expect(await differences(floor, 'gw-1')).not.toEqual([]);
  });

  it('is the same however often the processor starts again in between, also before anything was summed', () => {
    const steps: ((evidence: Evidence) => void)[] = [
      (evidence) => evidence.report(GATEWAY, { at: epochMs(BASE) }),
      ...[0, 0, 2, 1, 0, -3, 400].map((hour) => (evidence: Evidence) => {
        evidence.rollups(GATEWAY, rollups(1, [{ sensor: 0, at: BASE + hour * COUNT_MS, value: hour }]));
      }),
      (evidence) => evidence.episode(GATEWAY, { id: 'a', phase: 'opened', openedAt: epochMs(BASE) }),
      (evidence) => evidence.episode(GATEWAY, { id: 'a', phase: 'closed', openedAt: epochMs(BASE) }),
      (evidence) => evidence.beginAgain(GATEWAY),
      (evidence) => evidence.tick(GATEWAY, BASE),
    ];
    const undisturbed = new Evidence();
    let restarted = new Evidence();
    for (const step of steps) {
      step(undisturbed);
      restarted = new Evidence(restarted.snapshot());
      step(restarted);
      expect(restarted.snapshot()).toEqual(undisturbed.snapshot());
    }
    expect(undisturbed.snapshot()[0]?.hours).toHaveLength(3);
  });

  it('keeps seven days and the hour in hand, in at most 4 KB of a checkpoint', () => {
    const evidence = new Evidence();
    const name = { site: 's'.repeat(10), gateway: 'g'.repeat(10) };
    for (let hour = 0; hour < 400; hour++) {
      evidence.rollups(name, rollups(1, [{ sensor: 0, at: BASE + hour * COUNT_MS, value: hour }]));
    }
    const [snapshot] = evidence.snapshot();
    expect([snapshot!.hours.length, snapshot!.from]).toEqual([169, BASE + 231 * COUNT_MS]);
    expect(bytesOf(evidence)).toBeLessThan(4_096);
  });

  it('keeps to its bytes where a device sends from hours that lie apart, and gives up the oldest first', () => {
    const evidence = new Evidence();
    for (let hour = 0; hour < 400; hour++) {
      evidence.rollups(GATEWAY, rollups(1, [{ sensor: 0, at: BASE + hour * 9 * COUNT_MS, value: hour }]));
    }
    expect(bytesOf(evidence)).toBeLessThan(4_096);
    const [snapshot] = evidence.snapshot();
    expect(snapshot!.hours.length).toBeGreaterThan(100);
    expect(evidenceAt(snapshot!, BASE + 399 * 9 * COUNT_MS).readings).toBe(1);
    // An hour that was given up takes nothing more.
    evidence.rollups(GATEWAY, rollups(1, [{ sensor: 0, at: BASE, value: 1 }]));
    expect(evidence.snapshot()[0]!.hours).toEqual(snapshot!.hours);
  });

  it('of the far future has few places of its own, and the last days keep theirs', () => {
    const evidence = new Evidence();
    for (let hour = 0; hour < 168; hour++) take(evidence, hour);
    evidence.tick(GATEWAY, BASE + 168 * COUNT_MS);
    for (let year = 40; year > 0; year--) take(evidence, year * 8_766);
    take(evidence, 168);
    const [snapshot] = evidence.snapshot();
    expect(snapshot!.from).toBe(null);
    expect([0, 100, 168, 8_766, 9 * 8_766].map((hour) => readingsOf(evidence, hour))).toEqual([1, 1, 1, 1, 0]);
    expect(snapshot!.hours).toHaveLength(169 + processorLimits.evidenceAheadMax);
    expect(bytesOf(evidence)).toBeLessThan(4_400);
  });

  it('reaches back as far as before when readings come again after a pause of days', () => {
    const evidence = new Evidence();
    for (let hour = 0; hour < 169; hour++) take(evidence, hour);
    evidence.tick(GATEWAY, BASE + 168 * COUNT_MS);
    take(evidence, 230);
    evidence.tick(GATEWAY, BASE + 230 * COUNT_MS);
    expect(evidence.snapshot()[0]!.from).toBe(BASE + COUNT_MS);
    expect([0, 1, 168, 230].map((hour) => readingsOf(evidence, hour))).toEqual([0, 1, 1, 1]);
  });

  it('begins again behind an hour of the future that it left out, when the gateway gets there, and only then', () => {
    let evidence = new Evidence();
    evidence.tick(GATEWAY, BASE);
    for (const hour of [0, 40, 41, 42, 43, 30, 43]) take(evidence, hour);
    evidence = new Evidence(evidence.snapshot());
    take(evidence, 43);
    const from = (hour: number): number | null => {
      evidence.tick(GATEWAY, BASE + hour * COUNT_MS);
      take(evidence, hour);
      return evidence.snapshot()[0]!.from;
    };
    // The hour behind the watermark's is compared already.
    expect([from(41), from(42), from(44)]).toEqual([null, BASE + 44 * COUNT_MS, BASE + 44 * COUNT_MS]);
    expect([41, 43, 44].map((hour) => readingsOf(evidence, hour))).toEqual([0, 0, 1]);
  });
});

const readingsOf = (evidence: Evidence, hour: number): number =>
  evidenceAt(evidence.snapshot()[0]!, BASE + hour * COUNT_MS).readings;

/** One reading of the hour so many after BASE. */
function take(evidence: Evidence, hour: number): void {
  evidence.rollups(GATEWAY, rollups(1, [{ sensor: 0, at: BASE + hour * COUNT_MS, value: hour }]));
}
