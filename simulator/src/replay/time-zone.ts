/** Offsets from UTC change only at full quarters of an hour of UTC. */
const QUARTER_MS = 900_000;

/** A time zone of the IANA database, which turns the local times of a recording into instants. */
export class TimeZone {
  readonly name: string;
  readonly #parts: Intl.DateTimeFormat;
  // Recordings are read in order of time: the offset of the last quarter of an hour is nearly always the one asked for.
  #quarter = Number.NaN;
  #offsetMs = 0;

  /**
   * @param name such as `Europe/Berlin`.
   * @throws RangeError if there is no such zone.
   */
  constructor(name: string) {
    this.name = name;
    this.#parts = new Intl.DateTimeFormat('en-US', {
      timeZone: name,
      hourCycle: 'h23',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
      hour: 'numeric',
      minute: 'numeric',
      second: 'numeric',
    });
  }

  /**
   * The instant of a local time.
   *
   * @param localMs the time on the wall as milliseconds since 1970 there.
   * @returns epoch milliseconds. Of an hour that comes twice in autumn the first; a time that spring skips counts from the hour before.
   */
  instantOf(localMs: number): number {
    const before = localMs - this.#offsetAt(localMs - 86_400_000);
    if (before + this.#offsetAt(before) === localMs) return before;
    const after = localMs - this.#offsetAt(before);
    return after + this.#offsetAt(after) === localMs ? after : before;
  }

  #offsetAt(utcMs: number): number {
    const quarter = Math.floor(utcMs / QUARTER_MS);
    if (quarter !== this.#quarter) {
      this.#quarter = quarter;
      this.#offsetMs = this.#read(quarter * QUARTER_MS);
    }
    return this.#offsetMs;
  }

  #read(utcMs: number): number {
    const part = { year: 0, month: 0, day: 0, hour: 0, minute: 0, second: 0 };
    for (const { type, value } of this.#parts.formatToParts(utcMs)) {
      if (Object.hasOwn(part, type)) part[type as keyof typeof part] = Number(value);
    }
    const { year, month, day, hour, minute, second } = part;
    return Date.UTC(year, month - 1, day, hour, minute, second) - utcMs;
  }
}
