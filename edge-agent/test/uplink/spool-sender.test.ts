import { rm } from 'node:fs/promises';
import { join } from 'node:path';

import {
  type Batch,
  decodeBatch,
  encodeFloorMessage,
  epochMs,
  FLOOR_VERSION,
  type FloorMessage,
  floorSubject,
  INGEST_STREAM,
  type Lane,
  type LaneFloor,
  type Predecessor,
} from '@floorwatch/contracts';
import type { LoopbackServer } from '@floorwatch/servers';
import { jetstreamManager } from '@nats-io/jetstream';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { describe, expect, it } from 'vitest';

import { loopTime, resourcesPerTest, waitFor } from '../../../tests/support/index.ts';
import { DiskLaneSpool } from '../../src/spool/disk-lane-spool.ts';
import { encodeSpooled } from '../../src/spooled-record.ts';
import { FloorListener } from '../../src/uplink/floor-listener.ts';
import { NatsLink } from '../../src/uplink/nats-link.ts';
import { SpoolSender, type SpoolSenderOptions } from '../../src/uplink/spool-sender.ts';
import { silentLogger } from '../support/devices.ts';

const resources = resourcesPerTest();
const name = { site: 'Leipzig', gateway: 'hall 1' };
const EPOCHS = ['1-0123456789abcdef', '2-0123456789abcdef', '3-0123456789abcdef'] as const;
const MIB = 1024 * 1024;

const start = (predecessor: Predecessor): Uint8Array =>
  encodeSpooled({
    record: { kind: 'start', number: 1, predecessor, at: epochMs(0), clock: 'synchronised' },
    sensors: [],
    position: 0,
    at: epochMs(0),
  });

/** A record that is about `size` bytes. */
const status = (number: number, size = 100): Uint8Array =>
  encodeSpooled({
    record: {
      kind: 'status',
      number,
      at: epochMs(0),
      startedAt: epochMs(0),
      version: '1.0.0',
      configHash: '0'.repeat(64),
      clock: 'synchronised',
      sensors: 0,
      counters: Object.fromEntries(
        Array.from({ length: Math.ceil(size / 68) }, (_, i) => [`${i}`.padStart(64, 'c'), 0]),
      ),
    },
    sensors: [],
    position: number,
    at: epochMs(0),
  });

async function openLane(directory: string, lane: Lane = 'telemetry', bytesMax = 64 * MIB): Promise<DiskLaneSpool> {
  const { spool } = await DiskLaneSpool.open({
    directory,
    lane,
    durability: 'process',
    bytesMax,
    reserveBytes: 0,
    whenFull: 'drop-unsent',
    commitDelayMs: 0,
  });
  return spool;
}

/** Begins an epoch and appends `count` records in frames of `perFrame`. */
async function fill(lane: DiskLaneSpool, epoch: string, count: number, perFrame = 1, size = 100): Promise<void> {
  const predecessor = lane.epoch === undefined ? null : { epoch: lane.epoch, last: lane.lastNumber };
  await lane.append([start(predecessor)], { epoch });
  for (let done = 0; done < count; done += perFrame) {
    const items = Array.from({ length: Math.min(perFrame, count - done) }, (_, i) => status(2 + done + i, size));
    await lane.append(items, { now: true });
  }
}

interface Sending {
  readonly sender: SpoolSender;
  readonly listener: FloorListener;
  readonly link: NatsLink;
  stop(): Promise<void>;
}

async function send(lane: DiskLaneSpool, url: string, options: Partial<SpoolSenderOptions> = {}): Promise<Sending> {
  const link = new NatsLink({ servers: [url] }, name, silentLogger);
  const sender = new SpoolSender({ ...name, ...options }, lane, link, silentLogger);
  const listener = new FloorListener(name, silentLogger, (message, isOutdated) =>
    sender.hearFloor(message, isOutdated),
  );
  listener.start(link);
  await link.connect();
  const abort = new AbortController();
  const running = sender.run(abort.signal);
  let stopped: Promise<void> | undefined;
  const stop = async (): Promise<void> =>
    (stopped ??= (async () => {
      abort.abort();
      await running;
      await link.close();
    })());
  resources.defer(stop);
  return { sender, listener, link, stop };
}

async function client(nats: LoopbackServer, user: { user?: string; pass?: string } = {}): Promise<NatsConnection> {
  const connection = await connect({ servers: nats.url, ...user });
  resources.defer(async () => connection.close());
  return connection;
}

async function createStream(connection: NatsConnection): Promise<void> {
  const manager = await jetstreamManager(connection);
  await manager.streams.add({ name: INGEST_STREAM.name, subjects: [...INGEST_STREAM.subjects] });
}

async function readStream(connection: NatsConnection): Promise<Batch[]> {
  const manager = await jetstreamManager(connection);
  const { state } = await manager.streams.info(INGEST_STREAM.name);
  const batches: Batch[] = [];
  for (let seq = state.first_seq; seq <= state.last_seq && state.messages > 0; seq++) {
    const message = await manager.streams.getMessage(INGEST_STREAM.name, { seq });
    const decoded = decodeBatch(message?.data ?? new Uint8Array());
    if (!decoded.ok) throw new Error(decoded.fault.message);
    batches.push(decoded.batch);
  }
  return batches;
}

async function created(connection: NatsConnection): Promise<string> {
  return (await (await jetstreamManager(connection)).streams.info(INGEST_STREAM.name)).created;
}

const numbersOf = (batches: readonly Batch[]): number[] =>
  batches.flatMap(({ records }) => records.map(({ number }) => number));
const upTo = (last: number): number[] => Array.from({ length: last }, (_, i) => i + 1);

let ordinal = 0;
const floorMessage = (lane: LaneFloor, stream: FloorMessage['stream']): FloorMessage => ({
  schema: FLOOR_VERSION,
  ...name,
  checkpoints: '0123456789abcdef',
  ordinal: ++ordinal,
  stream,
  lanes: { anomaly: lane, telemetry: lane },
});

const isSent = ({ sender }: Sending): boolean => sender.state().recordsUnsent === 0;

describe('a lane on the disk', () => {
  it('is sent in order, epoch by epoch, and batches end where frames end', async () => {
    const nats = await resources.nats();
    const connection = await client(nats);
    await createStream(connection);
    const lane = await openLane(await resources.directory());
    await fill(lane, EPOCHS[0], 60, 6, 8_000);
    await fill(lane, EPOCHS[1], 3);
    const sending = await send(lane, nats.url);
    await waitFor('all is sent', () => isSent(sending));
    const batches = await readStream(connection);
    expect(numbersOf(batches.filter(({ epoch }) => epoch === EPOCHS[0]))).toEqual(upTo(61));
    expect(numbersOf(batches.filter(({ epoch }) => epoch === EPOCHS[1]))).toEqual(upTo(4));
    // The start, then frames of six: 2–7, 8–13, …
    for (const { records } of batches.slice(0, -1)) expect(((records.at(-1)?.number ?? 0) - 1) % 6).toBe(0);
    expect(sending.sender.state()).toMatchObject({
      recordsAcknowledged: 65,
      recordsRepeated: 0,
      failures: 0,
      sent: { epoch: EPOCHS[1], number: 4 },
      oldestUnsentAt: null,
      held: false,
      rewinds: 0,
    });
    await sending.stop();
    await lane.close();
  });

  it('goes on where it stood after a restart', async () => {
    const nats = await resources.nats();
    const connection = await client(nats);
    await createStream(connection);
    const directory = await resources.directory();
    const before = await openLane(directory);
    await fill(before, EPOCHS[0], 500);
    const first = await send(before, nats.url);
    await waitFor('all is sent', () => isSent(first));
    await first.stop();
    await before.close();
    const lane = await openLane(directory);
    await fill(lane, EPOCHS[1], 10);
    const second = await send(lane, nats.url);
    await waitFor('all is sent', () => isSent(second));
    const batches = await readStream(connection);
    expect(numbersOf(batches)).toEqual([...upTo(501), ...upTo(11)]);
    await second.stop();
    await lane.close();
  });

  it('is kept until a floor has passed it and the grace period is over', async () => {
    const nats = await resources.nats();
    const connection = await client(nats);
    await createStream(connection);
    const lane = await openLane(await resources.directory(), 'telemetry', 4 * MIB);
    await fill(lane, EPOCHS[0], 200, 10, 8_000);
    const sending = await send(lane, nats.url, { trimGraceMs: 0 });
    await waitFor('all is sent', () => isSent(sending));
    const { bytes } = lane;
    // Longer than the house is left alone: what JetStream has acknowledged may be gone tomorrow.
    await new Promise((resolve) => setTimeout(resolve, 6_000));
    expect([lane.first, lane.bytes]).toEqual([1, bytes]);
    const stream = { created: await created(connection), position: 1 };
    const floor = encodeFloorMessage(floorMessage({ epoch: EPOCHS[0], floor: 150, highest: 150 }, stream));
    connection.publish(floorSubject(name), floor);
    await waitFor('it is trimmed', () => lane.first > 1);
    expect(lane.first).toBeLessThanOrEqual(151);
    expect(sending.sender.state().floor).toMatchObject({ epoch: EPOCHS[0], floor: 150, highest: 150 });
    expect(sending.sender.state().uncommittedBytes).toBeLessThan(51 * 9_000);
    await sending.stop();
    await lane.close();
  }, 30_000);

  it('waits when much is sent and nothing is committed, and sends everything to a processor that knows another epoch', async () => {
    const nats = await resources.nats();
    const connection = await client(nats);
    await createStream(connection);
    const lane = await openLane(await resources.directory());
    await fill(lane, EPOCHS[0], 200, 1, 8_000);
    const sending = await send(lane, nats.url, { uncommittedBytesMax: MIB });
    expect(sending.sender.state().stalledSince).toBeNull();
    await waitFor('it waits', () => sending.sender.state().held);
    const held = sending.sender.state();
    expect(held.uncommittedBytes).toBeLessThanOrEqual(MIB);
    expect(held.uncommittedBytes).toBeGreaterThan(MIB / 2);
    expect(held.recordsUnsent).toBeGreaterThan(0);
    const since = held.stalledSince ?? Infinity;
    const stream = { created: await created(connection), position: 0 };
    const foreign = floorMessage({ epoch: EPOCHS[2], floor: 7, highest: 7 }, stream);
    connection.publish(floorSubject(name), encodeFloorMessage(foreign));
    await waitFor('all is sent', () => isSent(sending));
    const state = sending.sender.state();
    // Another floor than the one before has moved.
    expect(state.stalledSince).toBeGreaterThanOrEqual(since);
    expect(state).toMatchObject({ uncommittedBytesMax: null, rewindsByReason: { 'unknown-epoch': 1 } });
    expect(state.alarms).toMatchObject([{ kind: 'identity' }]);
    // It begins at the beginning once more.
    expect(numbersOf(await readStream(connection)).filter((number) => number === 1)).toHaveLength(2);
    await sending.stop();
    await lane.close();
  }, 30_000);

  it('tells of what was dropped at the cap with a gap in its place', async () => {
    const lane = await openLane(await resources.directory(), 'telemetry', 2 * MIB);
    await fill(lane, EPOCHS[0], 400, 1, 8_000);
    expect(lane.dropped).toBeGreaterThan(0);
    const nats = await resources.nats();
    const connection = await client(nats);
    await createStream(connection);
    const sending = await send(lane, nats.url);
    await waitFor('all is sent', () => isSent(sending));
    const records = (await readStream(connection)).flatMap((batch) => batch.records);
    const [gap] = records;
    expect(gap).toMatchObject({ kind: 'gap', number: 1, reason: 'cap', predecessor: null });
    const behind = gap?.kind === 'gap' ? gap.to + 1 : 0;
    expect(behind - 1).toBe(lane.dropped);
    expect(records.slice(1).map(({ number }) => number)).toEqual(upTo(401).slice(behind - 1));
    expect(sending.sender.state()).toMatchObject({ gapsSent: 1, recordsAcknowledged: 401 });
    await sending.stop();
    await lane.close();
  });
});

describe('a NATS server', () => {
  it('that forgets its stream gets again what was not committed, and no more', async () => {
    const nats = await resources.nats();
    const connection = await client(nats);
    await createStream(connection);
    const generation = await created(connection);
    const lane = await openLane(await resources.directory());
    await fill(lane, EPOCHS[0], 300, 1, 2_000);
    const sending = await send(lane, nats.url);
    await waitFor('all is sent', () => isSent(sending));
    const heard = floorMessage({ epoch: EPOCHS[0], floor: 101, highest: 101 }, { created: generation, position: 0 });
    connection.publish(floorSubject(name), encodeFloorMessage(heard));
    await waitFor('the floor is heard', () => sending.listener.state().heard === 1);

    await nats.kill9();
    await rm(join(nats.directory, 'jetstream'), { recursive: true });
    await nats.start();
    await waitFor('the stream is made anew', async () => createStream(connection).then(() => true));
    await lane.append([status(302), status(303)], { now: true });
    await waitFor('what is new is sent', () => isSent(sending));
    const again = { created: await created(connection), position: 0 };
    expect(again.created).not.toBe(generation);
    const after = floorMessage({ epoch: EPOCHS[0], floor: 101, highest: 303 }, again);
    connection.publish(floorSubject(name), encodeFloorMessage(after));
    await waitFor('it went back', () => sending.sender.state().rewinds === 1);
    await waitFor('all is sent', () => isSent(sending));
    expect(sending.sender.state()).toMatchObject({
      rewindsByReason: { 'stream-changed': 1 },
      recordsAcknowledged: 303,
    });
    const numbers = numbersOf(await readStream(connection));
    expect(numbers.slice(0, 2)).toEqual([302, 303]);
    expect(numbers.slice(2)).toEqual(upTo(303).slice(101));

    // Said once more before the processor has read it: it is on its way.
    connection.publish(floorSubject(name), encodeFloorMessage({ ...after, ordinal: ++ordinal }));
    await waitFor('the floor is heard', () => sending.listener.state().heard === 3);
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(sending.sender.state().rewinds).toBe(1);
    await sending.stop();
    await lane.close();
  }, 40_000);

  it('that is killed again and again gets every record', async () => {
    const nats = await resources.nats();
    await createStream(await client(nats));
    const lane = await openLane(await resources.directory());
    await fill(lane, EPOCHS[0], 1);
    const sending = await send(lane, nats.url);
    let number = 2;
    for (let round = 0; round < 3; round++) {
      const appending = (async () => {
        for (let i = 0; i < 200; i++) await lane.append([status(++number, 5_000)], { now: true });
      })();
      await new Promise((resolve) => setTimeout(resolve, 30));
      await nats.kill9();
      await appending;
      await nats.start();
    }
    await waitFor('all is sent', () => isSent(sending), { timeoutMs: 90_000 });
    // The connection that made the stream may still be waiting to be made again.
    const seen = new Set(numbersOf(await readStream(await client(nats))));
    expect([...seen]).toEqual(upTo(602));
    expect(sending.sender.state()).toMatchObject({ recordsAcknowledged: 602, oldestUnsentAt: null });
    await sending.stop();
    await lane.close();
  }, 120_000);

  it('that does not answer holds up neither the stop nor the lane', async () => {
    const nats = await resources.nats();
    const connection = await client(nats);
    await createStream(connection);
    const lane = await openLane(await resources.directory());
    await fill(lane, EPOCHS[0], 1);
    const sending = await send(lane, nats.url);
    await waitFor('all is sent', () => isSent(sending));
    const { pid = 0 } = nats.process;
    process.kill(pid, 'SIGSTOP');
    resources.defer(() => process.kill(pid, 'SIGCONT'));
    await lane.append([status(3)], { now: true });
    await waitFor('the attempt failed', () => sending.sender.state().failures > 0);
    expect(sending.sender.state()).toMatchObject({ recordsUnsent: 1, oldestUnsentAt: 0 });
    expect(sending.link.state().lastError).toMatch(/^JetStream has not answered within 5 s; .*until it is restarted$/);
    process.kill(pid, 'SIGCONT');
    await waitFor('all is sent', () => isSent(sending), { timeoutMs: 30_000 });
    process.kill(pid, 'SIGSTOP');
    await lane.append([status(4)], { now: true });
    const took = loopTime();
    await sending.stop();
    expect(took()).toBeLessThan(4_000);
    await lane.close();
  }, 60_000);

  it('that takes small messages only gets small batches, and an alarm if one record is too large', async () => {
    const nats = await resources.nats({ configuration: 'max_payload: 12000' });
    const connection = await client(nats);
    await createStream(connection);
    const lane = await openLane(await resources.directory());
    await fill(lane, EPOCHS[0], 100, 5, 800);
    const sending = await send(lane, nats.url);
    await waitFor('all is sent', () => isSent(sending));
    const batches = await readStream(connection);
    expect(numbersOf(batches)).toEqual(upTo(101));
    for (const { records } of batches) expect(((records.at(-1)?.number ?? 0) - 1) % 5).toBe(0);
    expect(sending.link.state().lastError).toBeUndefined();
    await lane.append([status(102, 13_000)], { now: true });
    await waitFor('it says what is wrong', () =>
      /one record alone has \d+ bytes.*raise max_payload of the NATS server to at least/.test(
        sending.link.state().lastError ?? '',
      ),
    );
    await sending.stop();
    await lane.close();
  });
});

describe('a NATS user without rights', () => {
  const admin = { user: 'admin', pass: 'secret' };
  const configuration = (rights: string): string => `
    authorization { users: [
      { user: agent, password: unused, permissions: { ${rights} } }
      { user: admin, password: secret }
    ] }
    no_auth_user: agent`;

  it('to publish is told what to grant, and nothing is lost', async () => {
    const nats = await resources.nats({ configuration: configuration('publish: { deny: "ingest.>" }') });
    const connection = await client(nats, admin);
    await createStream(connection);
    const lane = await openLane(await resources.directory());
    await fill(lane, EPOCHS[0], 10);
    const sending = await send(lane, nats.url);
    await waitFor('it says so', () =>
      /NATS refuses.*give this user the right to publish to ingest\.v1\.\d+\.Leipzig\.hall%201\.telemetry/.test(
        sending.link.state().lastError ?? '',
      ),
    );
    expect(sending.sender.state().recordsUnsent).toBe(11);
    await nats.stop();
    const { port, directory } = nats;
    await resources.nats({ port, directory, configuration: configuration('publish: ">"') });
    await waitFor('all is sent', () => isSent(sending), { timeoutMs: 30_000 });
    expect(sending.link.state().lastError).toBeUndefined();
    await sending.stop();
    await lane.close();
  }, 40_000);

  it('to hear floors is told what to grant while batches pass, and hears them later', async () => {
    const denied = 'publish: ">", subscribe: { deny: "floor.>" }';
    const nats = await resources.nats({ configuration: configuration(denied) });
    const connection = await client(nats, admin);
    await createStream(connection);
    const lane = await openLane(await resources.directory());
    await fill(lane, EPOCHS[0], 10);
    const sending = await send(lane, nats.url);
    await waitFor('all is sent', () => isSent(sending));
    const refused = /NATS refuses.*give this user the right to subscribe to floor\.v1\.Leipzig\.hall%201/;
    await waitFor('it says so', () => refused.test(sending.link.state().lastError ?? ''));
    await lane.append([status(12)], { now: true });
    await waitFor('all is sent', () => isSent(sending));
    expect(sending.link.state().lastError).toMatch(refused);
    await nats.stop();
    const { port, directory } = nats;
    await resources.nats({ port, directory, configuration: configuration('publish: ">"') });
    const stream = { created: null, position: 0 };
    const message = encodeFloorMessage(floorMessage({ epoch: EPOCHS[0], floor: 3, highest: 3 }, stream));
    await waitFor(
      'a floor is heard',
      async () => {
        const other = await connect({ servers: nats.url, ...admin });
        other.publish(floorSubject(name), message);
        await other.drain();
        return sending.sender.state().floor !== null;
      },
      { timeoutMs: 30_000, intervalMs: 500 },
    );
    expect(sending.link.state().lastError).toBeUndefined();
    await sending.stop();
    await lane.close();
  }, 60_000);
});
