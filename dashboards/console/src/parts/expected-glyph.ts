import { svg } from '../dom.ts';
import { formatExpected, formatQuantity } from '../format.ts';

/** Where the parts of the glyph are, as fractions of its width. A side without a bound reaches the edge. */
export interface ExpectedLayout {
  readonly low: number;
  readonly high: number;
  readonly value: number;
}

/** How much of the width the band takes where both of its bounds are known and the value is inside. */
const MARGIN = 0.12;

/** Puts the expected band and a value on one line, so that both and the distance between them can be seen. */
export function layOutExpected(low: number | null, high: number | null, value: number): ExpectedLayout {
  const known = [value, ...(low === null ? [] : [low]), ...(high === null ? [] : [high])];
  const least = Math.min(...known);
  const span = Math.max(...known) - least || Math.abs(value) || 1;
  const at = (x: number): number => MARGIN + ((x - least) / span) * (1 - 2 * MARGIN);
  return { low: low === null ? 0 : at(low), high: high === null ? 1 : at(high), value: at(value) };
}

const [WIDTH, HEIGHT] = [220, 22];

/** A line with the expected band and the value that fell out of it. */
export function expectedGlyph(
  expected: { readonly low: number | null; readonly high: number | null },
  value: number,
  unit: string | undefined,
  severity: string,
): SVGSVGElement {
  const { low, high, value: at } = layOutExpected(expected.low, expected.high, value);
  const label = `Read ${formatQuantity(value, unit)}, expected ${formatExpected(expected, unit, value)}`;
  const x = at * WIDTH;
  return svg(
    'svg',
    {
      class: `expected-glyph severity-${severity}`,
      viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
      role: 'img',
      'aria-label': label,
    },
    svg('line', { class: 'axis', x1: 0, x2: WIDTH, y1: 11, y2: 11 }),
    svg('rect', { class: 'band', x: low * WIDTH, y: 4, width: Math.max(2, (high - low) * WIDTH), height: 14, rx: 3 }),
    expected.low !== null && svg('line', { class: 'bound', x1: low * WIDTH, x2: low * WIDTH, y1: 2, y2: 20 }),
    expected.high !== null && svg('line', { class: 'bound', x1: high * WIDTH, x2: high * WIDTH, y1: 2, y2: 20 }),
    svg('path', { class: 'value', d: `M${x} 4l6 7-6 7-6-7z` }),
  );
}
