import { readFile } from 'node:fs/promises';
import path from 'node:path';

import {
  type Batch,
  encodeBatch,
  encodeFloorMessage,
  FLOOR_VERSION,
  type FloorRecord,
  floorSubject,
  gatewayKey,
  gatewayToken,
  ingestSubject,
} from '@floorwatch/contracts';
import { connect, errors, type NatsConnection, nkeyAuthenticator } from '@nats-io/transport-node';
import { connectAsync, type MqttClient } from 'mqtt';
import { describe, expect, it } from 'vitest';

import { programs, resourcesPerTest, waitFor } from '../support/index.ts';
import { Floor, GATEWAY } from './floor.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const METRICS = ['temperature', 'pressure', 'current'];
const TIMEOUT_MS = 120_000;
const resources = resourcesPerTest();

const OTHER = { ...GATEWAY, gateway: 'gateway 2' };

const authenticatorOf = async (natsUsers: string) =>
  nkeyAuthenticator(Buffer.from((await readFile(`${natsUsers}/gateways/${gatewayToken(OTHER)}.nkey`, 'utf8')).trim()));

/** The status of the agent, as far as somebody who forges looks at it. */
interface Status {
  readonly troubles: readonly { readonly code: string; readonly what: string }[];
  readonly lanes: Readonly<
    Record<
      'anomaly' | 'telemetry',
      { readonly epoch: string; readonly lastNumber: number; readonly floor: object | null }
    >
  >;
}

/** A floor on which another client has the same rights in NATS as the gateway and the processor. */
class Attacked {
  readonly floor: Floor;
  readonly device: MqttClient;
  readonly attacker: NatsConnection;
  /** Readings that the agent has acknowledged, per sensor. */
  acknowledged = 0;

  constructor(floor: Floor, device: MqttClient, attacker: NatsConnection) {
    this.floor = floor;
    this.device = device;
    this.attacker = attacker;
  }

  /** @param natsUsers the folder of users with rights of their own; the attacker is then another gateway's. */
  static async start(natsUsers?: string): Promise<Attacked> {
    // Nothing is kept longer than it must be, so that what is deleted wrongly is gone at once.
    const floor = await Floor.start(resources, {
      store: 'duckdb',
      ...(natsUsers === undefined ? {} : { natsUsers }),
      agent: { storage: { dataDir: path.join(await resources.directory(), 'agent'), trimGraceMs: 0 } },
    });
    let device!: MqttClient;
    // The agent's status is there a moment before its broker.
    await waitFor('the device is connected', async () => {
      device = await connectAsync(floor.mqttUrl, { clientId: 'press' });
      return true;
    });
    resources.defer(async () => device.endAsync(true));
    const attacker = await connect({
      servers: floor.nats.url,
      ...(natsUsers === undefined ? {} : { authenticator: await authenticatorOf(natsUsers) }),
    });
    resources.defer(async () => attacker.close());
    return new Attacked(floor, device, attacker);
  }

  /** One reading per minute and sensor, each acknowledged. */
  async publish(base: number, minutes: number): Promise<void> {
    for (let minute = 0; minute < minutes; minute++) {
      const message = JSON.stringify({ value: 20 + (minute % 7), ts: base + minute * MINUTE });
      await Promise.all(
        METRICS.map((metric) => this.device.publishAsync(`sensors/press/${metric}`, message, { qos: 1 })),
      );
      this.acknowledged += 1;
    }
  }

  async status(): Promise<Status> {
    return (await (await fetch(`${this.floor.agentUrl}/status`)).json()) as Status;
  }

  async health(url: string): Promise<string> {
    return (await fetch(`${url}/healthz`)).text();
  }

  /** Sends records in the name of the gateway. */
  forge(epoch: string, ...records: readonly FloorRecord[]): void {
    const batch: Batch = { schema: 1, ...GATEWAY, lane: 'telemetry', epoch, sensors: [], records: [...records] };
    this.attacker.publish(ingestSubject(batch), encodeBatch(batch));
  }

  /** Says in the name of a processor that all is safe up to a number. */
  forgeFloor(epoch: string, number: number): void {
    const floor = { epoch, floor: number, highest: number };
    const message = encodeFloorMessage({
      schema: FLOOR_VERSION,
      ...GATEWAY,
      checkpoints: 'f'.repeat(16),
      ordinal: 1,
      stream: { created: null, position: 0 },
      lanes: { anomaly: floor, telemetry: floor },
    });
    this.attacker.publish(floorSubject(GATEWAY), message);
  }

  /** Readings of one sensor in sealed windows of a minute. */
  async stored(metric: string): Promise<number> {
    const windows = await this.floor.windows(this.floor.sensor('press', metric), '1m');
    return windows.reduce((sum, { n }) => sum + n, 0);
  }

  async verify(): Promise<{ readonly code: number | null; readonly kinds: readonly string[] }> {
    const config = path.join(path.dirname(this.floor.influxTokenFile), 'processor.yaml');
    const program = resources.program(programs.processor, ['verify', '--config', config, '--json']);
    const { code } = await program.exited;
    const { report } = JSON.parse(program.stdout) as { report: { differences: { kind: string }[] } | null };
    return { code, kinds: (report?.differences ?? []).map(({ kind }) => kind) };
  }
}

describe('somebody with the same rights in NATS', () => {
  it(
    'makes neither side pass over what is acknowledged, by gaps and floors: it is stored, and both sides say that somebody forges',
    async () => {
      const attacked = await Attacked.start();
      const { floor } = attacked;
      const base = Math.floor(Date.now() / HOUR - 3) * HOUR;
      await attacked.publish(base, 60);
      expect((await attacked.verify()).kinds).toEqual([]);
      const { epoch, lastNumber } = (await attacked.status()).lanes.telemetry;

      attacked.forge(epoch, {
        kind: 'gap',
        number: lastNumber + 1,
        to: lastNumber + 10_406,
        reason: 'cap',
        frames: [],
      });
      attacked.forgeFloor(epoch, lastNumber + 10_406);
      await attacked.attacker.flush();
      await attacked.publish(base + HOUR, 60);
      await attacked.publish(base + 2 * HOUR, 1);

      await waitFor(
        'both sides say it',
        async () => {
          const [agent, processor] = await Promise.all(
            [floor.agentUrl, floor.apiUrl].map((url) => attacked.health(url)),
          );
          return /less was sent/.test(agent!) && /identity|declared lost/.test(processor!);
        },
        { timeoutMs: 30_000 },
      );
      await waitFor(
        'all is stored',
        async () => {
          const stored = await Promise.all(METRICS.map((metric) => attacked.stored(metric)));
          return stored.every((n) => n >= 120);
        },
        { timeoutMs: 30_000 },
      );
      expect(await Promise.all(METRICS.map((metric) => attacked.stored(metric)))).toEqual(METRICS.map(() => 120));
      const { code, kinds } = await attacked.verify();
      expect([code, new Set(kinds)]).toEqual([1, new Set(['alarm'])]);
    },
    TIMEOUT_MS,
  );
});

describe('another gateway, where everybody has a user of their own', () => {
  it(
    'gets neither a gap nor a floor through, and the floor works as before',
    async () => {
      const natsUsers = path.join(await resources.directory(), 'nats');
      const names = [GATEWAY, OTHER].map(gatewayKey);
      const { exited } = resources.program(programs.processor, ['nats-users', '--dir', natsUsers, ...names]);
      expect((await exited).code).toBe(0);
      const attacked = await Attacked.start(natsUsers);
      const { attacker } = attacked;
      const denied: string[] = [];
      void (async () => {
        for await (const status of attacker.status()) {
          if (status.type === 'error' && status.error instanceof errors.PermissionViolationError)
            denied.push(status.error.subject);
        }
      })();
      const base = Math.floor(Date.now() / HOUR - 3) * HOUR;
      const { epoch } = (await attacked.status()).lanes.telemetry;
      attacked.forge(epoch, { kind: 'gap', number: 2, to: 10_406, reason: 'cap', frames: [] });
      attacked.forgeFloor(epoch, 10_406);
      await waitFor('the server refuses both', () => denied.length === 2);
      expect(denied).toEqual([ingestSubject({ ...GATEWAY, lane: 'telemetry' }), floorSubject(GATEWAY)]);
      await attacked.publish(base, 60);
      await attacked.publish(base + HOUR, 1);
      await waitFor(
        'all is stored',
        async () => {
          const stored = await Promise.all(METRICS.map((metric) => attacked.stored(metric)));
          return stored.every((n) => n === 60);
        },
        { timeoutMs: 30_000 },
      );
      await waitFor('what is safe is heard', async () => (await attacked.status()).lanes.telemetry.floor !== null, {
        timeoutMs: 30_000,
      });
      expect((await attacked.status()).troubles.filter(({ code }) => code !== 'clock')).toEqual([]);
      expect((await attacked.verify()).kinds).toEqual([]);
    },
    TIMEOUT_MS,
  );
});
