const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** How far back a chart looks. */
export interface Range {
  /** As it stands in the address. */
  readonly name: string;
  readonly label: string;
  readonly ms: number;
}

/** How coarse a chart is: `live` are the processor's ten seconds, the others are windows from the store. */
export interface Resolution {
  readonly name: string;
  readonly label: string;
  readonly stepMs: number;
  readonly ranges: readonly Range[];
}

const LIVE: Resolution = {
  name: 'live',
  label: 'Live, 10 s',
  stepMs: 10_000,
  ranges: [
    { name: '5m', label: '5 min', ms: 5 * MINUTE },
    { name: '15m', label: '15 min', ms: 15 * MINUTE },
    { name: '30m', label: '30 min', ms: 30 * MINUTE },
  ],
};

const UNITS = { s: 1_000, m: MINUTE, h: HOUR, d: DAY } as const;
const UNIT_LABELS = { s: 's', m: 'min', h: 'h', d: 'd' } as const;

/** Ranges that a person thinks in. A resolution offers those that make a chart of 20 to 2,000 points. */
const RANGES: readonly Range[] = [
  { name: '1h', label: '1 h', ms: HOUR },
  { name: '6h', label: '6 h', ms: 6 * HOUR },
  { name: '24h', label: '24 h', ms: DAY },
  { name: '7d', label: '7 days', ms: 7 * DAY },
  { name: '30d', label: '30 days', ms: 30 * DAY },
  { name: '90d', label: '90 days', ms: 90 * DAY },
];

/** The resolutions that the page offers, given the window sizes that the processor makes, such as `15m`. */
export function resolutions(windowSizes: readonly string[]): Resolution[] {
  const windows = windowSizes.flatMap((size): Resolution[] => {
    const match = /^(\d+)([smhd])$/.exec(size);
    if (match === null) return [];
    const unit = match[2] as keyof typeof UNITS;
    const stepMs = Number(match[1]) * UNITS[unit];
    const ranges = RANGES.filter(({ ms }) => ms / stepMs >= 20 && ms / stepMs <= 2_200);
    return ranges.length === 0 ? [] : [{ name: size, label: `${match[1]} ${UNIT_LABELS[unit]}`, stepMs, ranges }];
  });
  return [LIVE, ...windows];
}

/** The resolution and range that an address names, or the nearest thing. */
export function chooseRange(
  offered: readonly Resolution[],
  query: URLSearchParams,
): { readonly resolution: Resolution; readonly range: Range } {
  const resolution = offered.find(({ name }) => name === query.get('size')) ?? LIVE;
  const named = resolution.ranges.find(({ name }) => name === query.get('range'));
  // A floor that has just started has minutes to show, not half an hour.
  const preset = resolution.name === 'live' ? resolution.ranges[0] : resolution.ranges[1];
  const range = named ?? preset ?? resolution.ranges[0];
  if (range === undefined) throw new RangeError(`resolution ${resolution.name} has no range`);
  return { resolution, range };
}
