import type { Socket } from 'node:net';

/** Packet types, the upper four bits of a packet's first byte (MQTT 3.1.1, 2.2.1). */
const CONNECT = 1;
const PUBLISH = 3;
/** A packet is over the limit and can't be shortened. */
export class PacketTooLarge extends RangeError {}

/** A length takes at most four bytes of seven bits each (2.2.3). */
const LENGTH_BYTES_MAX = 4;

/**
 * Keeps large packets from a parser that would gather them whole, up to MQTT's 256 MiB. A PUBLISH over the limit is shortened: its
 * header is rewritten to the limit, and the bytes behind it are thrown away as they arrive. The receiver sees a message that is
 * too large, and can answer it like any other; the sender goes on. Any other packet over the limit is an error; all but CONNECT may have a lower one.
 *
 * Example, limit 100: the 2,000,003 bytes of a PUBLISH with length 1,999,999 become `30 64` and the first 100 bytes of its body.
 */
export class PacketLimiter {
  readonly #bytesMax: number;
  readonly #controlBytesMax: number;
  /** A header that has begun and is not complete, and how many bytes of it there are. */
  readonly #header = new Uint8Array(1 + LENGTH_BYTES_MAX);
  #headerBytes = 0;
  /** Bytes of the current packet's body still to pass on. */
  #body = 0;
  /** Bytes behind them still to throw away. */
  #surplus = 0;

  /**
   * @param bytesMax largest body of a packet, at most 2 MiB (so that its length is never longer than the one it replaces).
   * @param controlBytesMax largest body of one that is neither PUBLISH nor CONNECT.
   */
  constructor(bytesMax: number, controlBytesMax = bytesMax) {
    this.#bytesMax = bytesMax;
    this.#controlBytesMax = controlBytesMax;
  }

  /**
   * The bytes of `chunk` to pass on, possibly none.
   *
   * @throws PacketTooLarge if a packet other than PUBLISH is over the limit.
   * @throws RangeError if the stream can't be MQTT.
   */
  filter(chunk: Buffer): Buffer {
    const out: Buffer[] = [];
    /** Where the bytes begin that pass unchanged and are not in `out` yet. */
    let run = 0;
    let at = 0;
    while (at < chunk.length) {
      if (this.#body > 0) {
        const n = Math.min(this.#body, chunk.length - at);
        this.#body -= n;
        at += n;
      } else if (this.#surplus > 0) {
        if (at > run) out.push(chunk.subarray(run, at));
        const n = Math.min(this.#surplus, chunk.length - at);
        this.#surplus -= n;
        at += n;
        run = at;
      } else {
        const begun = this.#headerBytes > 0;
        const start = at;
        const complete = this.#readHeader(chunk, at);
        at = complete ?? chunk.length;
        if (complete !== undefined && !begun && this.#surplus === 0) {
          this.#headerBytes = 0;
          continue;
        }
        // The header is split over chunks, or another one goes in its place.
        if (start > run) out.push(chunk.subarray(run, start));
        run = at;
        if (complete === undefined) continue;
        out.push(
          this.#surplus > 0 ? this.#shortenedHeader() : Buffer.from(this.#header.subarray(0, this.#headerBytes)),
        );
        this.#headerBytes = 0;
      }
    }
    if (run === 0) return chunk;
    if (at > run) out.push(chunk.subarray(run, at));
    return out.length === 1 && out[0] !== undefined ? out[0] : Buffer.concat(out);
  }

  /** Takes header bytes from `at`; gives where the body begins once the header is complete. */
  #readHeader(chunk: Buffer, from: number): number | undefined {
    for (let at = from; at < chunk.length; at++) {
      const byte = chunk[at]!;
      const length = this.#headerBytes;
      this.#header[length] = byte;
      this.#headerBytes = length + 1;
      if (length === 0) continue;
      if (byte < 0x80) {
        this.#begin();
        return at + 1;
      }
      if (length === LENGTH_BYTES_MAX) throw new RangeError('the length of a packet is malformed');
    }
    return undefined;
  }

  #begin(): void {
    const first = this.#header[0] ?? 0;
    let length = 0;
    for (let i = this.#headerBytes - 1; i > 0; i--) length = length * 128 + (this.#header[i]! & 0x7f);
    const type = first >> 4;
    const bytesMax = type === PUBLISH ? Infinity : type === CONNECT ? this.#bytesMax : this.#controlBytesMax;
    if (length > bytesMax)
      throw new PacketTooLarge(`a packet of type ${type} has ${length} bytes, the limit is ${bytesMax}`);
    this.#body = Math.min(length, this.#bytesMax);
    this.#surplus = length - this.#body;
  }

  #shortenedHeader(): Buffer {
    const bytes = [this.#header[0] ?? 0];
    for (let rest = this.#bytesMax; ; rest = Math.floor(rest / 128)) {
      const digit = rest % 128;
      if (rest < 128) return Buffer.from([...bytes, digit]);
      bytes.push(digit | 0x80);
    }
  }
}

/**
 * Puts a limiter in front of everything that `socket` receives, whoever reads from it; a packet that can't be
 * shortened destroys the connection. Call it before anything arrives.
 *
 * @param ended called when the other side has ended the connection, which a socket says by itself only when it has been read to its end.
 *
 * `push` is where a socket takes bytes from the system. A Transform behind it would cost each acknowledgement a second stream.
 */
export function limitPackets(socket: Socket, limiter: PacketLimiter, ended: () => void): void {
  const push = socket.push.bind(socket);
  socket.push = (chunk: unknown, encoding?: BufferEncoding): boolean => {
    if (chunk === null) ended();
    if (!Buffer.isBuffer(chunk)) return push(chunk, encoding);
    try {
      const passed = limiter.filter(chunk);
      return passed.length === 0 || push(passed);
    } catch (error) {
      socket.destroy(error instanceof Error ? error : new Error(String(error)));
      return false;
    }
  };
}
