import { type EpochMs, epochMs, limits, parseSensorId, type SensorRef } from '@floorwatch/contracts';
import { z } from 'zod';

/** UTF-16 units of a wrong value that an answer repeats. */
const SHOWN_MAX = 100;
/** The furthest instant that a JavaScript date can show. */
export const INSTANT_MAX = 8_640_000_000_000_000;

/** How an instant is written: ISO 8601 with a zone, to the second or to the minute, or a day in UTC. */
export const instantText = [
  z.iso.datetime({ offset: true }),
  z.string().regex(z.regexes.datetime({ offset: true, precision: -1 })),
  z.iso.date(),
] as const;
const instantTextSchema = z.union(instantText);

/** A parameter is wrong. The answer is 400 with these fields. */
export class QueryError extends Error {
  override readonly name = 'QueryError';
  readonly field: string;
  readonly value: string;
  readonly remedy: string;

  constructor(field: string, value: string, problem: string, remedy: string) {
    const shown = value.length > SHOWN_MAX ? `${value.slice(0, SHOWN_MAX)}…` : value;
    super(`${field}: "${shown}" ${problem}; ${remedy}`);
    this.field = field;
    this.value = shown;
    this.remedy = remedy;
  }
}

/** Reads the parameters of a request, checks each, and refuses what it was not told of. */
export class QueryReader {
  readonly #given: Readonly<Record<string, string[]>>;

  /**
   * @param given the parameters as they came.
   * @param known every name that this address takes.
   */
  constructor(given: Readonly<Record<string, string[]>>, known: readonly string[]) {
    this.#given = given;
    for (const [name, values] of Object.entries(given)) {
      if (known.includes(name)) continue;
      const remedy = known.length === 0 ? 'leave it out' : `use one of: ${known.join(', ')}`;
      throw new QueryError(name, values[0] ?? '', 'belongs to no parameter of this address', remedy);
    }
  }

  /** The text of a parameter that may be given once. */
  text(name: string, lengthMax: number = limits.nameLengthMax): string | undefined {
    const values = this.#given[name];
    const value = values?.[0];
    if (values === undefined || value === undefined) return undefined;
    if (values.length > 1) throw new QueryError(name, values.join(', '), 'is given more than once', 'give it once');
    if (value === '') throw new QueryError(name, value, 'is empty', 'give it a value or leave it out');
    // Characters as JSON Schema counts them.
    const { length } = Array.from(value);
    if (length > lengthMax) {
      throw new QueryError(name, value, `has ${length} characters`, `use at most ${lengthMax}`);
    }
    return value;
  }

  oneOf<T extends string>(name: string, allowed: readonly T[]): T | undefined {
    const value = this.text(name);
    if (value === undefined) return undefined;
    const found = allowed.find((one) => one === value);
    if (found === undefined)
      throw new QueryError(name, value, 'is not known here', `use one of: ${allowed.join(', ')}`);
    return found;
  }

  /** A whole number from 1 to `max`. */
  count(name: string, preset: number, max: number): number {
    const value = this.text(name);
    if (value === undefined) return preset;
    const number = /^\d{1,9}$/.test(value) ? Number(value) : 0;
    if (number < 1 || number > max) {
      throw new QueryError(name, value, 'is out of range', `use a whole number from 1 to ${max}`);
    }
    return number;
  }

  /** An instant: epoch milliseconds, or ISO 8601 with a zone. */
  instant(name: string): EpochMs | undefined {
    const value = this.text(name);
    if (value === undefined) return undefined;
    let ms = Number.NaN;
    if (/^-?\d{1,16}$/.test(value)) ms = Number(value);
    else if (instantTextSchema.safeParse(value).success) ms = Date.parse(value);
    if (!(Math.abs(ms) <= INSTANT_MAX)) {
      const remedy = 'use epoch milliseconds or ISO 8601 with a zone, such as 2026-03-01T08:00:00Z';
      throw new QueryError(name, value, 'is not an instant', remedy);
    }
    return epochMs(Math.trunc(ms));
  }

  /** `from` ≤ … < `to`; without them all of time. */
  range(): { readonly from: EpochMs; readonly to: EpochMs } {
    const from = this.instant('from') ?? epochMs(-INSTANT_MAX);
    const to = this.instant('to') ?? epochMs(INSTANT_MAX);
    if (from >= to) throw new QueryError('from', String(from), `is not before to (${to})`, 'use an earlier one');
    return { from, to };
  }

  /** A sensor's id. */
  sensor(name: string): SensorRef | undefined {
    const value = this.text(name, 4 * limits.nameLengthMax + 3);
    return value === undefined ? undefined : asSensor(name, value);
  }

  /** Ids of up to `max` sensors, the parameter repeated for each. */
  sensorIds(name: string, max: number): string[] {
    const values = this.#given[name] ?? [];
    if (values.length > max) {
      throw new QueryError(name, `${values.length} times`, 'is too often', `ask for at most ${max} sensors at once`);
    }
    for (const value of values) asSensor(name, value);
    return values;
  }
}

/** A parameter that an address cannot do without. */
export function required<T>(name: string, value: T | undefined, remedy: string): T {
  if (value === undefined) throw new QueryError(name, '', 'is missing', remedy);
  return value;
}

export const SENSOR_REMEDY = 'use site/gateway/device/metric, as in the id that /api/v1/sensors gives';

function asSensor(name: string, value: string): SensorRef {
  const ref = parseSensorId(value);
  if (ref === undefined) throw new QueryError(name, value, 'is not the id of a sensor', SENSOR_REMEDY);
  return ref;
}
