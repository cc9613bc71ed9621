import { connect, type Socket } from 'node:net';

import type { Reading } from '@floorwatch/contracts';
import mqtt from 'mqtt-packet';

import type { Ledger } from './ledger.ts';

/** A message that was sent and not acknowledged. */
interface Sent {
  readonly sensor: number;
  readonly index: number;
  readonly topic: string;
  readonly payload: string;
}

const MESSAGE_IDS = 65_535;
/** Pause before another attempt to connect. */
const RECONNECT_MS = 50;

/**
 * A device that keeps what it sent until it is acknowledged. After every connect it first sends all of that again, in the order in which
 * it was sent at first and without waiting in between: MQTT.js would wait for each acknowledgement, which is kinder to the agent.
 */
export class Device {
  readonly #id: string;
  readonly #port: number;
  readonly #ledger: Ledger;
  /** In the order of sending. */
  readonly #pending = new Map<number, Sent>();
  /** By sensor. */
  readonly #inFlight = new Map<number, number>();
  #socket: Socket | undefined;
  #online = false;
  #closed = false;
  #lastId = 0;
  #timer: NodeJS.Timeout | undefined;
  /** Whether it has sent something again. */
  hasRepeated = false;

  constructor(id: string, port: number, ledger: Ledger) {
    this.#id = id;
    this.#port = port;
    this.#ledger = ledger;
  }

  /** Connects, and again whenever the connection is lost. */
  open(): void {
    const socket = connect(this.#port, '127.0.0.1');
    this.#socket = socket;
    socket.setNoDelay(true);
    const parser = mqtt.parser();
    parser.on('packet', (packet) => {
      if (packet.cmd === 'connack') this.#resend(socket);
      else if (packet.cmd === 'puback') this.#acknowledge(packet.messageId ?? 0);
    });
    socket.on('connect', () =>
      socket.write(
        mqtt.generate({
          cmd: 'connect',
          protocolId: 'MQTT',
          protocolVersion: 4,
          clean: true,
          clientId: this.#id,
          keepalive: 0,
        }),
      ),
    );
    socket.on('data', (bytes) => parser.parse(bytes));
    socket.on('error', () => undefined);
    socket.on('close', () => {
      if (this.#socket !== socket) return;
      this.#online = false;
      if (!this.#closed) this.#timer = setTimeout(() => this.open(), RECONNECT_MS);
    });
  }

  close(): void {
    this.#closed = true;
    this.#online = false;
    clearTimeout(this.#timer);
    this.#socket?.destroy();
  }

  /** Loses the connection, as a device in a bad network does. */
  drop(): void {
    this.#socket?.destroy();
  }

  get online(): boolean {
    return this.#online;
  }

  /** Messages that were sent and not acknowledged. */
  get pending(): number {
    return this.#pending.size;
  }

  /** Those of one sensor. */
  inFlight(sensor: number): number {
    return this.#inFlight.get(sensor) ?? 0;
  }

  publish(sensor: number, index: number, reading: Reading): void {
    const { device, metric } = reading;
    const payload = this.#ledger.series.payload(reading);
    const sent = { sensor, index, topic: `sensors/${device}/${metric}`, payload };
    do this.#lastId = (this.#lastId % MESSAGE_IDS) + 1;
    while (this.#pending.has(this.#lastId));
    this.#pending.set(this.#lastId, sent);
    this.#inFlight.set(sensor, this.inFlight(sensor) + 1);
    if (this.#online) this.#socket?.write(encode(this.#lastId, sent, false));
  }

  #resend(socket: Socket): void {
    this.#online = true;
    this.hasRepeated ||= this.#pending.size > 0;
    for (const [id, sent] of this.#pending) {
      socket.write(encode(id, sent, true));
      this.#ledger.countRepeat();
    }
  }

  #acknowledge(id: number): void {
    const sent = this.#pending.get(id);
    if (sent === undefined) throw new Error(`the agent acknowledged message ${id} of ${this.#id}, which was not sent`);
    this.#pending.delete(id);
    this.#inFlight.set(sent.sensor, this.inFlight(sent.sensor) - 1);
    this.#ledger.acknowledge(sent.sensor, sent.index);
  }
}

const encode = (messageId: number, { topic, payload }: Sent, dup: boolean): Buffer =>
  mqtt.generate({ cmd: 'publish', topic, payload, qos: 1, retain: false, dup, messageId });
