/** Numbers in flat arrays: what can be copied and written without looking at each. */
export type StateArray = Float64Array | Float32Array | Int32Array | Uint32Array | Uint16Array | Uint8Array;

/** What numbers of the past are copied to, by the names that a snapshot's file gives them. */
export const PAST_TYPES = { float64: Float64Array, uint32: Uint32Array, uint8: Uint8Array } as const;

/** Numbers as they were at one moment, which are copied when they are asked for. */
export interface PastNumbers {
  readonly type: keyof typeof PAST_TYPES;
  readonly length: number;
  /** Copies as many numbers as `into` has room for, from number `begin` on. */
  copyTo(into: Float64Array | Uint32Array | Uint8Array, begin: number): void;
}

/** A section of a moment that is past; what it is made of is held until it is released. */
export interface CapturedSection extends Omit<StateSection, 'arrays'> {
  readonly arrays: Readonly<Record<string, StateArray | PastNumbers>>;
}

/** A captured section with all numbers copied. */
export const copied = (section: CapturedSection): StateSection => ({
  ...section,
  arrays: Object.fromEntries(
    Object.entries(section.arrays).map(([name, numbers]) => {
      if (!('copyTo' in numbers)) return [name, numbers];
      const copy = new PAST_TYPES[numbers.type](numbers.length);
      numbers.copyTo(copy, 0);
      return [name, copy];
    }),
  ),
});

/**
 * A part of the agent's state as a snapshot holds it. A copy: nothing in it changes any more when it is written.
 *
 * Sections of accumulators (open rollups, open episodes, duplicate keys) must be readable by every later release. A detector's section may
 * be of a version that this release does not know; it is then left out, and the detector learns again.
 */
export interface StateSection {
  /** Such as `rollups` or `detector:stuck`. */
  readonly name: string;
  /** Counts up when the meaning of `values` or `arrays` changes. */
  readonly version: number;
  /** JSON. */
  readonly values: unknown;
  readonly arrays: Readonly<Record<string, StateArray>>;
}

/** A snapshot holds what this release can't go on from. */
export class StateError extends Error {
  override readonly name = 'StateError';
  /** `missing`: the section is not there. `newer`: a later release wrote it. `malformed`: it is not what its version says. */
  readonly code: 'missing' | 'newer' | 'malformed';
  /** Name of the section. */
  readonly section: string;

  constructor(code: StateError['code'], section: string, message: string) {
    super(`the snapshot's section ${section} ${message}`);
    this.code = code;
    this.section = section;
  }
}

/**
 * The section of that name, which must be there.
 *
 * @param version the newest version that can be read.
 * @throws StateError
 */
export function requireSection(sections: readonly StateSection[], name: string, version: number): StateSection {
  const section = sections.find((other) => other.name === name);
  if (section === undefined) throw new StateError('missing', name, 'is missing');
  if (section.version > version) {
    throw new StateError(
      'newer',
      name,
      `is of version ${section.version}, and this release reads versions up to ${version}; start the newer one`,
    );
  }
  return section;
}

/** The section of that name, if it is there. @throws TypeError if it is of another version. */
export function findSection(
  sections: readonly StateSection[],
  name: string,
  version: number,
): StateSection | undefined {
  const section = sections.find((other) => other.name === name);
  if (section !== undefined && section.version !== version)
    throw new TypeError(`section ${name} is of version ${section.version}, and not ${version}`);
  return section;
}

/** An array of numbers of a section. @throws StateError unless it is there and as long as `length`, if that is given */
export function numbersOf({ name, arrays }: StateSection, array: string, length?: number): Float64Array {
  const numbers = arrays[array];
  if (!(numbers instanceof Float64Array) || (length !== undefined && numbers.length !== length)) {
    throw new StateError('malformed', name, `has ${numbers?.length ?? 'no'} numbers for ${array}`);
  }
  return numbers;
}
