/** A stretch of a series with one anomaly in it. */
export interface Picture {
  /** Above the chart. */
  readonly title: string;
  /** What it covers, epoch milliseconds. */
  readonly from: number;
  readonly to: number;
  /** Epoch milliseconds. */
  readonly times: readonly number[];
  readonly values: readonly number[];
  /** The reading at which the anomaly was reported; `value` undefined: there was none. */
  readonly found: { readonly at: number; readonly value: number | undefined };
  /** What was expected then; null: no bound on that side. */
  readonly expected: { readonly low: number | null; readonly high: number | null };
  /** Longest time between two readings that a line joins. */
  readonly joinMs: number;
}

const WIDTH = 760;
const HEIGHT = 250;
const LEFT = 58;
const RIGHT = 16;
const TOP = 30;
const BOTTOM = 28;
/** Half of the name of an instant. */
const EDGE = 36;
/** Whatever the page's theme, the picture brings its own ground. */
const COLOURS = {
  ground: '#ffffff',
  text: '#3c4650',
  grid: '#e3e7ea',
  line: '#2c6da3',
  band: '#cfe3d4',
  found: '#c0392b',
};
const DAY_MS = 86_400_000;

/** A chart of the series as SVG: the line, what was expected when the anomaly was found, and where. */
export function drawPicture({ title, from, to, times, values, found, expected, joinMs }: Picture): string {
  const shown = [...values, expected.low, expected.high].filter((value) => value !== null);
  const [least, most] = [Math.min(...shown), Math.max(...shown)];
  const margin = (most - least || 1) * 0.06;
  const [low, high] = [least - margin, most + margin];
  const x = (at: number): number => LEFT + ((at - from) / (to - from)) * (WIDTH - LEFT - RIGHT);
  const y = (value: number): number => TOP + ((high - value) / (high - low)) * (HEIGHT - TOP - BOTTOM);
  const [bandTop, bandEnd] = [y(expected.high ?? high), y(expected.low ?? low)];
  const band =
    expected.low === null && expected.high === null ? [] : [rectangle(bandTop, Math.max(1.5, bandEnd - bandTop))];
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="12" fill="${COLOURS.text}">`,
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="${COLOURS.ground}"/>`,
    ...band,
    ...ticksBetween(low, high).flatMap((value) => [
      `<path d="M${LEFT} ${round(y(value))}H${WIDTH - RIGHT}" stroke="${COLOURS.grid}"/>`,
      `<text x="${LEFT - 6}" y="${round(y(value) + 4)}" text-anchor="end">${value}</text>`,
    ]),
    ...timeTicks(from, to)
      .filter(({ at }) => x(at) > LEFT + EDGE && x(at) < WIDTH - EDGE)
      .map(({ at, text }) => `<text x="${round(x(at))}" y="${HEIGHT - 9}" text-anchor="middle">${text}</text>`),
    `<path d="${lineThrough(times, values, x, y, joinMs)}" fill="none" stroke="${COLOURS.line}" stroke-width="1.4"/>`,
    `<path d="M${round(x(found.at))} ${TOP}V${HEIGHT - BOTTOM}" stroke="${COLOURS.found}" stroke-dasharray="3 3"/>`,
    ...(found.value === undefined
      ? []
      : [`<circle cx="${round(x(found.at))}" cy="${round(y(found.value))}" r="4.5" fill="${COLOURS.found}"/>`]),
    `<text x="${LEFT}" y="19" font-weight="bold">${escape(title)}</text>`,
    '</svg>',
    '',
  ].join('\n');
}

const round = (number: number): number => Number(number.toFixed(1));

const rectangle = (top: number, height: number): string =>
  `<rect x="${LEFT}" y="${round(top)}" width="${WIDTH - LEFT - RIGHT}" height="${round(height)}" fill="${COLOURS.band}"/>`;

const escape = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');

function lineThrough(
  times: readonly number[],
  values: readonly number[],
  x: (at: number) => number,
  y: (value: number) => number,
  joinMs: number,
): string {
  return times
    .map((at, index) => {
      const isJoined = index > 0 && at - times[index - 1]! <= joinMs;
      return `${isJoined ? 'L' : 'M'}${round(x(at))} ${round(y(values[index]!))}`;
    })
    .join('');
}

/** About four round numbers between two values. */
function ticksBetween(low: number, high: number): number[] {
  const rough = (high - low) / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 5].find((factor) => factor * power >= rough) ?? 10);
  const ticks: number[] = [];
  for (let at = Math.ceil(low / step) * step; at <= high; at += step) ticks.push(Number(at.toPrecision(6)));
  return ticks;
}

/** About five instants with their names, by days or by hours. */
function timeTicks(from: number, to: number): { readonly at: number; readonly text: string }[] {
  const steps = [1, 2, 3, 6, 12, 24, 48, 96, 192].map((hours) => (hours * DAY_MS) / 24);
  const step = steps.find((each) => (to - from) / each <= 6) ?? DAY_MS * 30;
  const ticks = [];
  for (let at = Math.ceil(from / step) * step; at <= to; at += step) {
    const text = new Date(at).toISOString();
    ticks.push({ at, text: step >= DAY_MS ? text.slice(0, 10) : `${text.slice(5, 10)} ${text.slice(11, 16)}` });
  }
  return ticks;
}
