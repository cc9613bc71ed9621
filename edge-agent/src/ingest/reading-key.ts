const numbers = new Float64Array(3);
const words = new Uint32Array(numbers.buffer);

/** Stands for "no sequence number", which is none of the whole numbers from 0. */
const NO_SEQ = -1;

/** A key of 64 bits in two halves. */
export interface ReadingKey {
  high: number;
  low: number;
}

/** The last key that {@link makeKey} made; one object, so that a reading costs no allocation. */
export const key: ReadingKey = { high: 0, low: 0 };

/**
 * Makes the key by which a repeat is recognised among the readings of its sensor, into {@link key}: from event time, value, and sequence
 * number if one was sent. Two lanes of MurmurHash3's 32-bit rounds (Austin Appleby, public domain) with constants of their own, mixed at
 * the end.
 *
 * Two different readings have the same key once in 2⁶⁴: with 64 keys per sensor and 10,000 readings a second that all have to be compared, a
 * reading is mistaken for a repeat once in 900,000 years. Devices that want to be mistaken can be.
 *
 * @param eventTime NaN: the device sent none, so that it says nothing of the reading.
 */
export function makeKey(eventTime: number, value: number, seq: number | undefined): void {
  numbers[0] = eventTime;
  numbers[1] = value;
  numbers[2] = seq ?? NO_SEQ;
  let a = 0x2f0b_4c47;
  let b = 0x9747_b28c;
  for (let i = 0; i < 6; i++) {
    const word = words[i]!;
    let k = Math.imul(word, 0xcc9e_2d51);
    k = Math.imul((k << 15) | (k >>> 17), 0x1b87_3593);
    a ^= k;
    a = (Math.imul((a << 13) | (a >>> 19), 5) + 0xe654_6b64) | 0;
    k = Math.imul(word, 0x239b_961b);
    k = Math.imul((k << 16) | (k >>> 16), 0xab0e_9789);
    b ^= k;
    b = (Math.imul((b << 17) | (b >>> 15), 5) + 0x561c_cd1b) | 0;
  }
  a = finish((a + b) | 0);
  b = finish((b + a) | 0);
  key.high = a >>> 0;
  key.low = b >>> 0;
}

function finish(hash: number): number {
  let h = hash;
  h ^= h >>> 16;
  h = Math.imul(h, 0x85eb_ca6b);
  h ^= h >>> 13;
  h = Math.imul(h, 0xc2b2_ae35);
  return h ^ (h >>> 16);
}

/**
 * A hash of a message's topic and payload, by which it is known to be the one that was sent before: MurmurHash3's 32-bit rounds, over the
 * characters of the topic two by two and over the payload four bytes by four. Two different messages of one packet identifier have the same
 * one once in 2³².
 */
export function hashMessage(topic: string, payload: Uint8Array): number {
  const { length } = payload;
  let h = round(topic.length, length);
  // Behind the end of a text is NaN, which is 0 here.
  for (let i = 0; i < topic.length; i += 2) h = round(h, topic.charCodeAt(i) | (topic.charCodeAt(i + 1) << 16));
  const whole = length - (length % 4);
  for (let i = 0; i < whole; i += 4)
    h = round(h, payload[i]! | (payload[i + 1]! << 8) | (payload[i + 2]! << 16) | (payload[i + 3]! << 24));
  for (let i = whole; i < length; i++) h = round(h, payload[i]!);
  return finish(h) >>> 0;
}

function round(hash: number, word: number): number {
  let k = Math.imul(word, 0xcc9e_2d51);
  k = Math.imul((k << 15) | (k >>> 17), 0x1b87_3593);
  const h = hash ^ k;
  return (Math.imul((h << 13) | (h >>> 19), 5) + 0xe654_6b64) | 0;
}
