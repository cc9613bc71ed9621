import path from 'node:path';

import { DuckDBInstance } from '@duckdb/node-api';
import { lookForServer } from '@floorwatch/servers';
import { connectAsync, type MqttClient } from 'mqtt';
import { describe, expect, it } from 'vitest';

import { type ChildProgram, programs, resourcesPerTest, skippedIf, waitFor } from '../support/index.ts';
import { Floor } from './floor.ts';

const HOUR = 3_600_000;
const SENSORS = ['temperature', 'pressure', 'current'];
/** Twice the time that it takes on a quiet machine, for each of about ten waits of up to a tick and a checkpoint. */
const TIMEOUT_MS = 180_000;

const influxd = await lookForServer('influxd');

/** What `verify --json` prints, as far as it is looked at here. */
interface Status {
  readonly state: string;
  readonly problem: string | null;
  readonly report: {
    readonly ok: boolean;
    readonly differences: readonly { readonly kind: string; readonly finding: string }[];
    readonly gateways: readonly {
      readonly intake: { readonly received: number; readonly accepted: number; readonly rejected: number };
      readonly readings: { readonly told: number; readonly hours: number; readonly late: number };
      readonly episodes: { readonly opened: number; readonly hours: number };
    }[];
  } | null;
}

describe.each(['duckdb', 'influxdb'] as const)('verify, with %s as the store', (store) => {
  const resources = resourcesPerTest();
  const missing = store === 'influxdb' && influxd === undefined;

  it.skipIf(missing)(
    `finds nothing on a running floor while readings flow, and what was removed${skippedIf(missing, 'no influxd was found')}`,
    async () => {
      const floor = await Floor.start(resources, { store });
      const folder = path.dirname(floor.influxTokenFile);
      const verify = (...more: string[]): ChildProgram =>
        resources.program(programs.processor, ['verify', '--config', path.join(folder, 'processor.yaml'), ...more]);
      /** Whatever a run said while nothing was wrong, apart from "everything adds up". */
      const wrong: unknown[] = [];
      const outcome = async (): Promise<Status> => {
        const program = verify('--json');
        const { code } = await program.exited;
        if (code === 2) throw new Error(program.output());
        const status = JSON.parse(program.stdout) as Status;
        if (code !== 0 || status.report?.ok !== true) wrong.push([code, status.problem, status.report?.differences]);
        return status;
      };

      let device!: MqttClient;
      // The agent's status is there a moment before its broker.
      await waitFor('the device is connected', async () => {
        device = await connectAsync(floor.mqttUrl, { clientId: 'press' });
        return true;
      });
      resources.defer(async () => device.endAsync(true));
      const base = Math.floor(Date.now() / HOUR - 3) * HOUR;
      let isOver = false;
      const flowing = publishHours(device, base, () => isOver);
      let hours = 0;
      let runs = 0;
      // Three whole hours of three sensors, and an episode at the spike of each.
      await waitFor(
        'three hours are compared',
        async () => {
          const { report } = await outcome();
          runs += 1;
          const [gateway] = report?.gateways ?? [];
          hours = gateway?.readings.hours ?? 0;
          // On a busy machine the first run may find all of it; readings are to flow through several.
          return runs > 1 && hours >= 9 && (gateway?.episodes.opened ?? 0) > 0;
        },
        { timeoutMs: 90_000, intervalMs: 500 },
      );

      // Late readings, the second one without DUP and so a message of its own, and something that is none.
      const late = { value: 20.25, ts: base + 5, seq: 1 };
      for (const payload of [late, late, { value: 'hot' }]) {
        await device.publishAsync('sensors/press/temperature', JSON.stringify(payload), { qos: 1 });
      }
      await waitFor(
        'the late readings are compared',
        async () => {
          const [gateway] = (await outcome()).report?.gateways ?? [];
          return gateway?.readings.late === 2 && gateway.intake.rejected === 1 && gateway.readings.hours >= 9;
        },
        { timeoutMs: 60_000, intervalMs: 500 },
      );
      expect(wrong).toEqual([]);
      isOver = true;
      await flowing;
      if (store === 'influxdb') return;

      await floor.processor.stop('SIGTERM');
      const unreachable = verify();
      expect((await unreachable.exited).code).toBe(2);
      expect(unreachable.output()).toContain('is the processor running?');
      const instance = await DuckDBInstance.create(path.join(folder, 'store.duckdb'));
      const connection = await instance.connect();
      const where = `size = '1m' AND metric = 'pressure' AND time = make_timestamp(${(base + 300_000) * 1_000})`;
      expect((await connection.run(`DELETE FROM "window" WHERE ${where}`)).rowsChanged).toBe(1);
      connection.closeSync();
      instance.closeSync();
      await floor.restartProcessor();
      const different = verify();
      expect((await different.exited).code).toBe(1);
      const hour = new Date(base).toISOString().replace('.000Z', 'Z');
      expect(different.stdout).toContain(`press/pressure ${hour}`);
      expect(different.stdout).toContain('windows of 1m hold 354 readings, the gateway accepted 360');
      expect(different.stdout.trimEnd()).toMatch(/DOES NOT ADD UP: 1 difference$/);
    },
    TIMEOUT_MS,
  );
});

/** Readings of every sensor each ten seconds from `base` until now, an hour in about two seconds, and then with the clock. */
async function publishHours(device: MqttClient, base: number, isOver: () => boolean): Promise<void> {
  for (let at = base; !isOver();) {
    const until = Math.min(Date.now(), at + 120_000);
    const sent: Promise<unknown>[] = [];
    for (; at < until; at += 10_000) {
      for (const [i, metric] of SENSORS.entries()) {
        const spike = at % HOUR === 1_800_000 ? 1_000 : 0;
        const payload = JSON.stringify({ value: 20 + Math.sin(at / 60_000 + i) + spike, ts: at });
        sent.push(device.publishAsync(`sensors/press/${metric}`, payload, { qos: 1 }));
      }
    }
    await Promise.all(sent);
    await new Promise((resolve) => setTimeout(resolve, 60));
  }
}
