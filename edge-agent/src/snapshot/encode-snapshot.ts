import { type CapturedSection, PAST_TYPES, type PastNumbers, type StateArray } from '../state-section.ts';
import { ARRAY_TYPES, type ArrayType, paddingOf, type SectionHead } from './format.ts';

/** Bytes that are handed over at once: below a millisecond for a checksum on a Raspberry Pi. */
const CHUNK_BYTES = 256 * 1024;
/** Numbers of the past that are collected at once: thousands of rows, each of which may have to be fetched from memory. */
const PAST_NUMBERS = 8 * 1024;
/** Characters of JSON that are turned into bytes at once. */
const TEXT_LENGTH = 32 * 1024;
const NOTHING = Buffer.alloc(0);

/**
 * The file behind its preamble, in chunks that each cost little. An empty chunk is a place to let others work: what comes next is not
 * ready yet.
 */
export function* encodeSnapshot(header: unknown, sections: readonly CapturedSection[]): Generator<Uint8Array> {
  yield block({ header, sections: sections.length });
  for (const section of sections) yield* encodeSection(section);
}

function* encodeSection({ name, version, values, arrays }: CapturedSection): Generator<Uint8Array> {
  const text: Buffer[] = [];
  for (const part of inParts(jsonText(values))) {
    text.push(part);
    yield NOTHING;
  }
  const valuesBytes = text.reduce((sum, part) => sum + part.length, 0);
  const entries = Object.entries(arrays);
  const head: SectionHead = {
    name,
    version,
    valuesBytes,
    arrays: entries.map(([array, numbers]) => ({ name: array, type: typeOf(numbers), length: numbers.length })),
  };
  yield block(head);
  yield* text;
  yield Buffer.alloc(paddingOf(valuesBytes));
  for (const [, numbers] of entries) {
    if ('copyTo' in numbers) {
      yield* encodePast(numbers);
      continue;
    }
    const bytes = new Uint8Array(numbers.buffer, numbers.byteOffset, numbers.byteLength);
    for (let begin = 0; begin < bytes.length; begin += CHUNK_BYTES) yield bytes.subarray(begin, begin + CHUNK_BYTES);
    yield Buffer.alloc(paddingOf(bytes.length));
  }
}

/** Every chunk lies in the same memory, and holds until the next one is asked for. */
function* encodePast(numbers: PastNumbers): Generator<Uint8Array> {
  const length = Math.min(numbers.length, PAST_NUMBERS);
  const chunk = new PAST_TYPES[numbers.type](length);
  for (let begin = 0; begin < numbers.length; begin += chunk.length) {
    const part = chunk.subarray(0, numbers.length - begin);
    numbers.copyTo(part, begin);
    yield new Uint8Array(part.buffer, part.byteOffset, part.byteLength);
  }
  yield Buffer.alloc(paddingOf(numbers.length * chunk.BYTES_PER_ELEMENT));
}

/** A length, and as much JSON. */
function block(content: unknown): Buffer {
  const text = Buffer.from(JSON.stringify(content));
  const bytes = Buffer.alloc(4 + text.length + paddingOf(4 + text.length));
  bytes.writeUInt32LE(text.length);
  text.copy(bytes, 4);
  return bytes;
}

/** JSON of a value, bit by bit: lists of thousands of sensors are elements that cost little each. */
function* jsonText(value: unknown): Generator<string> {
  if (Array.isArray(value)) {
    yield '[';
    for (const [index, element] of value.entries()) {
      yield `${index === 0 ? '' : ','}${JSON.stringify(element) ?? 'null'}`;
    }
    yield ']';
  } else if (typeof value === 'object' && value !== null) {
    let before = '{';
    for (const [key, field] of Object.entries(value)) {
      if (field === undefined) continue;
      yield `${before}${JSON.stringify(key)}:`;
      before = ',';
      yield* jsonText(field);
    }
    yield before === '{' ? '{}' : '}';
  } else {
    yield JSON.stringify(value) ?? 'null';
  }
}

function* inParts(texts: Iterable<string>): Generator<Buffer> {
  let text = '';
  for (const more of texts) {
    text += more;
    if (text.length < TEXT_LENGTH) continue;
    yield Buffer.from(text);
    text = '';
  }
  if (text !== '') yield Buffer.from(text);
}

function typeOf(numbers: StateArray | PastNumbers): ArrayType {
  if ('copyTo' in numbers) return numbers.type;
  for (const [type, constructor] of Object.entries(ARRAY_TYPES)) {
    if (numbers instanceof constructor) return type as ArrayType;
  }
  throw new TypeError(`an array of ${Object.prototype.toString.call(numbers)} has no place in a snapshot`);
}
