import { type EpochMs, epochMs } from '@floorwatch/contracts';

/** A number of seconds since 1970 is below this until the year 5138; milliseconds are above it since 1973. */
const SECONDS_MAX = 1e11;
const DATE = /^(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?)\s*(Z|[+-]\d{2}:?\d{2})?)?$/;

/** The instant that `text` says, in epoch seconds or milliseconds or as a date with the year first, UTC unless a zone is written; or undefined. */
export function recordedTime(text: string): EpochMs | undefined {
  if (/^-?\d+(\.\d+)?$/.test(text)) {
    const number = Number(text);
    return epochMs(Math.round(Math.abs(number) < SECONDS_MAX ? number * 1_000 : number));
  }
  const match = DATE.exec(text);
  if (match === null) return undefined;
  const [, day = '', time = '00:00', zone = 'Z'] = match;
  const at = Date.parse(`${day}T${time}${zone}`);
  return Number.isNaN(at) ? undefined : epochMs(at);
}
