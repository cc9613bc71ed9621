import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

import mqtt, { type IPublishPacket } from 'mqtt-packet';

import { percentile } from '../../chaos/harness/chaos-options.ts';
import { waitFor } from '../../support/index.ts';
import { waitedForProcessorMs } from './processor-wait.ts';
import { GUEST } from './users.ts';

const STEP_MS = 20;
const METRIC = 'load';
/** Where both processes waited at the same time, more is left out than passed. No PUBACK takes less than this anyway. */
const LATENCY_MS_MIN = 1;

/** A reading that a device has sent, by its name in the ledger and the journal. */
export const readingKey = (device: string, seq: number): string => `${device} ${seq}`;

/** A moment: by the clock, and by what processes had waited for a processor until then. Both in milliseconds. */
interface Moment {
  readonly at: number;
  readonly waited: number;
}

/** A span of `performance.now()`. */
export interface Span {
  readonly from: number;
  readonly to: number;
}

/** When a reading was sent, and how long its PUBACK took. */
interface Answered {
  readonly sentAt: number;
  readonly ms: number;
}

/**
 * Devices that do everything right: each sends at a steady rate with QoS 1 on one connection, and never sends anything twice, so that a connection
 * that breaks or an answer that does not come is a failure. They remember what was acknowledged and how long that took.
 *
 * The time in which the agent, or this process, was ready to run and waited for a processor is left out: on a machine with two cores that other
 * programs keep busy it is most of the time, and says nothing about the agent.
 */
export class GoodDevices {
  readonly #devices: readonly GoodDevice[];
  readonly #bursting: GoodDevice;
  readonly #perStep: number;
  readonly #answered: Answered[] = [];
  /** Keys of what was acknowledged. */
  readonly acknowledged = new Set<string>();
  #timer: NodeJS.Timeout | undefined;
  #turn = 0;

  /**
   * @param count how many.
   * @param perSecond readings a second of all together.
   * @param agentPid the process that they send to.
   */
  constructor(count: number, perSecond: number, agentPid: number) {
    const pids = [agentPid, process.pid];
    const now = (): Moment => ({ at: performance.now(), waited: waitedForProcessorMs(pids) });
    const device = (name: string): GoodDevice => new GoodDevice(name, now, this.acknowledged, this.#answered);
    this.#devices = Array.from({ length: count }, (_, i) => device(`good-${i}`));
    this.#bursting = device('bursting');
    this.#perStep = (perSecond * STEP_MS) / 1_000;
  }

  async connect(port: number): Promise<void> {
    await Promise.all(this.#all.map(async (device) => device.connect(port)));
  }

  start(): void {
    this.#timer = setInterval(() => {
      // It must not look idle in between.
      if (this.#turn % 100 === 0) this.#bursting.publish(1, false);
      for (let i = 0; i < this.#perStep; i++) this.#devices[this.#turn++ % this.#devices.length]?.publish(1);
    }, STEP_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
    for (const device of this.#all) device.close();
  }

  /** Has one more device send so many readings in one write. How long their PUBACKs take does not count: they wait for one another. */
  burst(readings: number): void {
    this.#bursting.publish(readings, false);
  }

  /** Connections that were lost. */
  get lost(): number {
    return this.#all.filter(({ isLost }) => isLost).length;
  }

  /** Waits until everything that was sent is acknowledged. */
  async answered(timeoutMs = 30_000): Promise<void> {
    await waitFor('every reading of the good devices is acknowledged', () => this.#pending === 0 || this.lost > 0, {
      timeoutMs,
      intervalMs: 10,
    });
  }

  get #all(): readonly GoodDevice[] {
    return [...this.#devices, this.#bursting];
  }

  get #pending(): number {
    return this.#all.reduce((sum, { pending }) => sum + pending, 0);
  }

  /** How long the PUBACKs of 99 of 100 readings took that were sent in these spans, in milliseconds; NaN if there are none. */
  p99(spans: readonly Span[]): number {
    return percentile(
      spans.flatMap((span) => this.#answeredIn(span).map(({ ms }) => ms)),
      0.99,
    );
  }

  /** Readings that were sent in a span, and answered. */
  answeredIn(span: Span): number {
    return this.#answeredIn(span).length;
  }

  #answeredIn({ from, to }: Span): Answered[] {
    return this.#answered.filter(({ sentAt }) => sentAt >= from && sentAt < to);
  }
}

class GoodDevice {
  readonly #name: string;
  readonly #now: () => Moment;
  readonly #acknowledged: Set<string>;
  readonly #answered: Answered[];
  /** By packet identifier: the reading, and when it was sent if that counts. */
  readonly #sent = new Map<number, { readonly key: string; readonly sent: Moment | undefined }>();
  #socket: Socket | undefined;
  #seq = 0;
  #isClosing = false;
  isLost = false;

  constructor(name: string, now: () => Moment, acknowledged: Set<string>, answered: Answered[]) {
    this.#name = name;
    this.#now = now;
    this.#acknowledged = acknowledged;
    this.#answered = answered;
  }

  get pending(): number {
    return this.#sent.size;
  }

  async connect(port: number): Promise<void> {
    const socket = connect(port, '127.0.0.1');
    this.#socket = socket;
    socket.setNoDelay(true);
    const parser = mqtt.parser();
    const connected = new Promise<void>((resolve) => {
      parser.on('packet', (packet) => {
        if (packet.cmd === 'connack') resolve();
        else if (packet.cmd === 'puback') this.#acknowledge(packet.messageId ?? 0);
      });
    });
    socket.on('data', (bytes) => parser.parse(bytes));
    socket.on('error', () => undefined);
    socket.on('close', () => (this.isLost ||= !this.#isClosing));
    await once(socket, 'connect');
    const hello = { cmd: 'connect', protocolId: 'MQTT', protocolVersion: 4, clean: true, keepalive: 60 } as const;
    socket.write(mqtt.generate({ ...hello, ...GUEST, clientId: this.#name }));
    await connected;
  }

  /** @param counts whether the time until their PUBACKs counts. */
  publish(readings: number, counts = true): void {
    const sent = counts ? this.#now() : undefined;
    const packets = Array.from({ length: readings }, () => {
      this.#seq += 1;
      const messageId = ((this.#seq - 1) % 65_535) + 1;
      this.#sent.set(messageId, { key: readingKey(this.#name, this.#seq), sent });
      const payload = JSON.stringify({ value: 20 + (this.#seq % 7) / 10, ts: Date.now(), seq: this.#seq });
      const packet: IPublishPacket = {
        ...({ cmd: 'publish', qos: 1, dup: false, retain: false } as const),
        topic: `sensors/${this.#name}/${METRIC}`,
        payload,
        messageId,
      };
      return mqtt.generate(packet);
    });
    this.#socket?.write(Buffer.concat(packets));
  }

  close(): void {
    this.#isClosing = true;
    this.#socket?.destroy();
  }

  #acknowledge(messageId: number): void {
    const sent = this.#sent.get(messageId);
    if (sent === undefined)
      throw new Error(`${this.#name} was answered for message ${messageId}, which it did not send`);
    this.#sent.delete(messageId);
    this.#acknowledged.add(sent.key);
    if (sent.sent === undefined) return;
    const { at, waited } = this.#now();
    const ms = Math.max(LATENCY_MS_MIN, at - sent.sent.at - (waited - sent.sent.waited));
    this.#answered.push({ sentAt: sent.sent.at, ms });
  }
}
