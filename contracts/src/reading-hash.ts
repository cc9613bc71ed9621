/**
 * A sum of 64-bit hashes modulo 2^64, as two unsigned 32-bit numbers. The order of what is summed does not matter, and sums can be added,
 * so two sets of readings that were summed in different ways can be compared. NaN in both: something without a hash is in it.
 */
export interface HashSum {
  high: number;
  low: number;
}

const TWO_32 = 2 ** 32;

/** A sum of nothing. */
export const noHashes = (): HashSum => ({ high: 0, low: 0 });

/** A sum that nobody knows, and that stays unknown whatever is added. */
export const unknownHash = (): HashSum => ({ high: NaN, low: NaN });

/** Adds `hash` to `into`. */
export function addHash(into: HashSum, hash: Readonly<HashSum>): void {
  let low = into.low + hash.low;
  let high = into.high + hash.high;
  if (low >= TWO_32) {
    low -= TWO_32;
    high += 1;
  }
  into.low = low;
  into.high = high >= TWO_32 ? high - TWO_32 : high;
}

const DIGITS = Array.from('0123456789abcdef', (digit) => digit.charCodeAt(0));
const digit = (word: number, shift: number): number => DIGITS[(word >>> shift) & 15]!;

/** As 16 hexadecimal digits; undefined if it is unknown. Digit by digit: every window has one, and `toString(16)` takes twenty times as long. */
export const hashText = ({ high, low }: Readonly<HashSum>): string | undefined =>
  Number.isNaN(high) || Number.isNaN(low)
    ? undefined
    : String.fromCharCode(
        digit(high, 28),
        digit(high, 24),
        digit(high, 20),
        digit(high, 16),
        digit(high, 12),
        digit(high, 8),
        digit(high, 4),
        digit(high, 0),
        digit(low, 28),
        digit(low, 24),
        digit(low, 20),
        digit(low, 16),
        digit(low, 12),
        digit(low, 8),
        digit(low, 4),
        digit(low, 0),
      );

/** What {@link hashText} made `text` of. Anything else is an unknown sum. */
export const hashOf = (text: string | undefined): HashSum =>
  text === undefined || !/^[0-9a-f]{16}$/.test(text)
    ? unknownHash()
    : { high: Number.parseInt(text.slice(0, 8), 16), low: Number.parseInt(text.slice(8), 16) };

const doubles = new Float64Array(2);
const words = new Uint32Array(doubles.buffer);

/** Spreads every bit over the whole word (the finaliser of MurmurHash3, Appleby 2011). */
function spread(word: number): number {
  let mixed = Math.imul(word ^ (word >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}

/** The hash of a text, such as an id or the name of a sensor. Not for keys that somebody could choose with bad intent. */
export function textHash(text: string): HashSum {
  let [high, low] = [0x811c9dc5, 0x2f0b4a27];
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    high = Math.imul(high ^ unit, 0x01000193);
    low = Math.imul(low ^ unit, 0x9e3779b1);
    low ^= low >>> 15;
  }
  return { high: spread(high), low: spread(low) };
}

/**
 * Hashes readings, without making an object for each. Two lanes of 32 bits with multipliers of their own: no `BigInt`, which would cost more
 * than everything else that is done with a reading.
 */
export class ReadingHash implements HashSum {
  high = 0;
  low = 0;

  /**
   * Becomes the hash of a reading.
   *
   * @param sensor {@link textHash} of its name.
   * @param reading its event time in epoch milliseconds, and its value. Not as numbers, which become objects where a call is not inlined.
   */
  set(sensor: Readonly<HashSum>, reading: Readonly<{ eventTime: number; value: number }>): void {
    doubles[0] = reading.eventTime;
    doubles[1] = reading.value;
    let { high, low } = sensor;
    for (let i = 0; i < 4; i++) {
      const word = words[i]!;
      high = Math.imul(high ^ word, 0x9e3779b1);
      high ^= high >>> 15;
      low = Math.imul(low ^ word, 0xc2b2ae3d);
      low ^= low >>> 13;
    }
    this.high = spread(high);
    this.low = spread(low);
  }
}

/** Sums in a row as little-endian 32-bit words, low before high, in base64. Undefined if one of them is unknown. */
export function encodeHashes(sums: readonly (Readonly<HashSum> | undefined)[]): string | undefined {
  const pairs = new Uint32Array(sums.length * 2);
  for (const [i, sum] of sums.entries()) {
    if (sum === undefined || Number.isNaN(sum.low)) return undefined;
    pairs[2 * i] = sum.low;
    pairs[2 * i + 1] = sum.high;
  }
  return Buffer.from(pairs.buffer).toString('base64');
}

/** What {@link encodeHashes} made: the low word of sum `i` is at 2 · i, its high word behind it. */
export function decodeHashes(text: string): Uint32Array {
  const bytes = Buffer.from(text, 'base64');
  const pairs = new Uint32Array(bytes.length >>> 2);
  new Uint8Array(pairs.buffer).set(bytes.subarray(0, pairs.byteLength));
  return pairs;
}

/** Whether `text` holds `length` sums. */
export const isHashes = (text: unknown, length: number): boolean =>
  typeof text === 'string' &&
  text.length === Math.ceil((length * 8) / 3) * 4 &&
  // The decoder passes over what is no base64, and is then short of a byte at least. To look for it would take ten times as long.
  decodeHashes(text).length === length * 2;
