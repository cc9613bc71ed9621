import type { Writable } from 'node:stream';

/** The first two bytes of a PUBACK: its type, and that an identifier of two bytes follows (MQTT 3.1.1, 3.4). In MQTT 5 they mean success. */
const PUBACK = 0x4002_0000;
const PUBACK_BYTES = 4;

/**
 * Writes the PUBACKs of one connection, to a device or to a broker, those of one delivery together, behind what else becomes of it in this turn of the event loop: an anomaly
 * leaves first. aedes would write each of them in three parts and give it a turn of its own (ADR-0021).
 */
export class Acknowledgements {
  readonly #socket: Pick<Writable, 'write' | 'destroyed'>;
  #identifiers: number[] = [];

  constructor(socket: Pick<Writable, 'write' | 'destroyed'>) {
    this.#socket = socket;
  }

  /** Acknowledges a packet, in the order of the calls. */
  add(identifier: number): void {
    if (this.#identifiers.push(identifier) === 1) process.nextTick(() => this.write());
  }

  /** Leaves out what is not written yet: nobody is there to be told. */
  forget(): void {
    this.#identifiers = [];
  }

  /** Writes what waits for the end of this turn. */
  write(): void {
    const identifiers = this.#identifiers;
    this.#identifiers = [];
    if (identifiers.length === 0 || this.#socket.destroyed) return;
    const bytes = Buffer.allocUnsafe(PUBACK_BYTES * identifiers.length);
    let at = 0;
    for (const identifier of identifiers) at = bytes.writeUInt32BE(PUBACK + identifier, at);
    this.#socket.write(bytes);
  }
}
