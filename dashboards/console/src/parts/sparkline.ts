import { setAttribute, svg } from '../dom.ts';

/** Points that a small chart shows. */
export const SPARKLINE_POINTS = 60;
const [WIDTH, HEIGHT, PAD] = [96, 26, 3];

/**
 * The path of a small chart in a box of 96 × 26, evenly spaced. It fills the height, but never stretches noise: a range of less than
 * 2 % of the values' size is drawn as nearly flat as it is, unless the values go one way only, as those of a counter do.
 */
export function sparklinePath(values: readonly number[]): string {
  if (values.length < 2) return '';
  const low = Math.min(...values);
  const high = Math.max(...values);
  const middle = (low + high) / 2;
  const range = (isSteady(values) ? high - low : Math.max(high - low, Math.abs(middle) * 0.02)) || 1;
  const step = (WIDTH - 2 * PAD) / (values.length - 1);
  return values
    .map((value, index) => {
      const x = PAD + index * step;
      const y = HEIGHT / 2 - ((value - middle) / range) * (HEIGHT - 2 * PAD);
      return `${index === 0 ? 'M' : 'L'}${x.toFixed(1)} ${y.toFixed(1)}`;
    })
    .join('');
}

/** So many values in a row go one way by chance less than once in a hundred times. */
const STEADY_MIN = 6;

/** Whether the values only rise, or only fall. */
function isSteady(values: readonly number[]): boolean {
  if (values.length < STEADY_MIN) return false;
  const steps = values.slice(1).map((value, index) => value - (values[index] ?? value));
  return steps.every((step) => step > 0) || steps.every((step) => step < 0);
}

/** A small chart of what a sensor last read. Decoration: the value beside it says the same. */
export class Sparkline {
  readonly #path = svg('path', { d: '' });
  readonly element = svg(
    'svg',
    { class: 'sparkline', viewBox: `0 0 ${WIDTH} ${HEIGHT}`, 'aria-hidden': 'true', preserveAspectRatio: 'none' },
    this.#path,
  );

  show(values: readonly number[]): void {
    setAttribute(this.#path, 'd', sparklinePath(values));
  }
}
