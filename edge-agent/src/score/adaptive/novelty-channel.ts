import { DECADES_MAX, NOVELTY_WARM_UP } from './parameters.ts';

/**
 * Has a value like this been seen before? The range of a feature is cut into {@link CELLS} cells of which one bit each is kept. The
 * first visit of a cell scores the decades of how rare first visits have become (Good 1953, "The population frequencies of species",
 * after Turing), more with its distance from what was seen, less with the length of the history, and less if the first visits before
 * it have advanced cell by cell in the same direction. What happened once is known.
 *
 * The cells are laid out after the first {@link NOVELTY_WARM_UP} values, so that their range fills the middle half. Until then the
 * values are noted in four times as many cells that start at the first two different values and double whenever one falls outside;
 * later the 32 cells double in the same way. Doubling folds neighbours into one, and is one shift of bits per cell.
 *
 * The state is {@link NOVELTY_FIELDS} consecutive numbers of the sensor's row, beginning at `o`.
 */
const COUNT = 0;
/** First visits so far. */
const VISITS = 1;
/** Lower end of the cells and their width; a width of 0: no two different values yet. */
const LOW = 2;
const WIDTH = 3;
/** Smallest and largest value of the warm-up. */
const SMALLEST = 4;
const LARGEST = 5;
/** Bits of visited cells, 32 to a number; after the warm-up only the first. */
const BITS = 6;
const WARM_WORDS = 4;
/** How many first visits in a row, up to the last one, each widened the visited range by one cell upwards; downwards: negative. */
const ADVANCES = BITS + WARM_WORDS;
export const NOVELTY_FIELDS = ADVANCES + 1;

/** Decades by which a first visit counts less after ten that advanced in the same direction: a counter counts, a slow cycle rises. */
const ADVANCE_DECADES = 0.7;

const CELLS = 32;

/** The range of a constant sensor, so that it has cells too, as a multiple of the resolution; and where that is 0. */
const CONSTANT_RANGE = 1e6;
const CONSTANT_RANGE_AT_ZERO = 1e-6;

/** Doublings for one value; more mean a value so far out that the cells say nothing. */
const DOUBLINGS_MAX = 1100;

/**
 * Scores `features[channel]` and learns it. Writes decades of novelty, above 0 and up to {@link DECADES_MAX}, to `decades[channel]` and
 * answers true; or answers false, always during the warm-up. Differences below `resolutions[channel]` mean nothing (rounding of a
 * constant sensor).
 */
export function acceptNovelty(
  s: Float64Array,
  o: number,
  channel: number,
  features: Float64Array,
  resolutions: Float64Array,
  decades: Float64Array,
): boolean {
  const count = s[o + COUNT]! + 1;
  s[o + COUNT] = count;
  if (count <= NOVELTY_WARM_UP) {
    warmUp(s, o, features[channel]!, count, resolutions[channel]!);
    return false;
  }
  const cell = Math.floor((features[channel]! - s[o + LOW]!) / s[o + WIDTH]!);
  if (cell >= 0 && cell < CELLS && ((s[o + BITS]! >>> cell) & 1) === 1) return false;
  return firstVisit(s, o, channel, features, decades);
}

/** Scores and marks a cell that was never visited. Apart from the common path, so that the latter stays free of allocations. */
function firstVisit(
  s: Float64Array,
  o: number,
  channel: number,
  features: Float64Array,
  decades: Float64Array,
): boolean {
  const value = features[channel]!;
  const count = s[o + COUNT]!;
  const cell = Math.floor((value - s[o + LOW]!) / s[o + WIDTH]!);
  const distance = distanceToVisited(s[o + BITS]!, cell);
  const novelty =
    Math.log10(count / s[o + VISITS]!) +
    0.5 * Math.log2(distance) -
    0.3 * Math.log10(count / 100) -
    ADVANCE_DECADES * Math.log10(1 + advance(s, o, cell));
  s[o + VISITS] = s[o + VISITS]! + 1;
  visit(s, o, 1, value);
  if (novelty <= 0) return false;
  decades[channel] = Math.min(novelty, DECADES_MAX);
  return true;
}

/** Counts a first visit of `cell` as an advance, if it is one, and answers how many in the same direction came before it. */
function advance(s: Float64Array, o: number, cell: number): number {
  const bits = s[o + BITS]!;
  const highest = 31 - Math.clz32(bits);
  const lowest = 31 - Math.clz32(bits & -bits);
  const direction = Number(cell === highest + 1) - Number(cell === lowest - 1);
  const before = Math.max(0, direction * s[o + ADVANCES]!);
  s[o + ADVANCES] = direction * (before + 1);
  return before;
}

/** Cells between `cell`, which may lie outside, and the nearest visited one; at least 1. */
function distanceToVisited(bits: number, cell: number): number {
  let nearest = Infinity;
  for (let visited = 0; visited < CELLS; visited += 1) {
    if (((bits >>> visited) & 1) === 1) nearest = Math.min(nearest, Math.abs(cell - visited));
  }
  return Math.max(1, nearest);
}

/** Marks the cell of `value`, doubling the cells until it is inside. */
function visit(s: Float64Array, o: number, words: number, value: number): void {
  const cells = words * CELLS;
  let cell = Math.floor((value - s[o + LOW]!) / s[o + WIDTH]!);
  for (let doubling = 0; (cell < 0 || cell >= cells) && doubling < DOUBLINGS_MAX; doubling += 1) {
    double(s, o, words, cell < 0);
    cell = Math.floor((value - s[o + LOW]!) / s[o + WIDTH]!);
  }
  mark(s, o, Math.min(cells - 1, Math.max(0, cell)));
}

/** Twice the range with the same number of cells: downwards, the old ones become the upper half, else the lower one. */
function double(s: Float64Array, o: number, words: number, downwards: boolean): void {
  const cells = words * CELLS;
  const old = [0, 1, 2, 3].map((word) => s[o + BITS + word]!);
  if (downwards) s[o + LOW] = s[o + LOW]! - cells * s[o + WIDTH]!;
  s[o + WIDTH] = s[o + WIDTH]! * 2;
  s.fill(0, o + BITS, o + BITS + words);
  for (let cell = 0; cell < cells; cell += 1) {
    if (((old[cell >> 5]! >>> (cell & 31)) & 1) === 1) mark(s, o, downwards ? (cells + cell) >> 1 : cell >> 1);
  }
}

function mark(s: Float64Array, o: number, cell: number): void {
  const word = o + BITS + (cell >> 5);
  s[word] = (s[word]! | (1 << (cell & 31))) >>> 0;
}

function warmUp(s: Float64Array, o: number, value: number, count: number, resolution: number): void {
  if (count === 1) {
    s[o + SMALLEST] = value;
    s[o + LARGEST] = value;
  }
  if (s[o + WIDTH] === 0 && Math.abs(value - s[o + SMALLEST]!) > resolution) {
    // The two values lie a quarter from either end.
    const first = s[o + SMALLEST]!;
    s[o + WIDTH] = Math.abs(value - first) / ((WARM_WORDS * CELLS) / 2);
    s[o + LOW] = Math.min(value, first) - ((WARM_WORDS * CELLS) / 4) * s[o + WIDTH]!;
    visit(s, o, WARM_WORDS, first);
  }
  s[o + SMALLEST] = Math.min(s[o + SMALLEST]!, value);
  s[o + LARGEST] = Math.max(s[o + LARGEST]!, value);
  if (s[o + WIDTH]! > 0) visit(s, o, WARM_WORDS, value);
  if (count === NOVELTY_WARM_UP) layOut(s, o, resolution);
}

/** Ends the warm-up: the range seen so far fills the middle half of the 32 cells. */
function layOut(s: Float64Array, o: number, resolution: number): void {
  const smallest = s[o + SMALLEST]!;
  const largest = s[o + LARGEST]!;
  const spread = largest - smallest;
  const range = spread > resolution ? spread : resolution * CONSTANT_RANGE || CONSTANT_RANGE_AT_ZERO;
  const fineLow = s[o + LOW]!;
  const fineWidth = s[o + WIDTH]!;
  const fine = [0, 1, 2, 3].map((word) => s[o + BITS + word]!);
  s.fill(0, o + BITS, o + BITS + WARM_WORDS);
  s[o + LOW] = smallest - range / 2;
  s[o + WIDTH] = (2 * range) / CELLS;
  visit(s, o, 1, smallest);
  visit(s, o, 1, largest);
  for (let cell = 0; cell < WARM_WORDS * CELLS; cell += 1) {
    if (((fine[cell >> 5]! >>> (cell & 31)) & 1) === 0) continue;
    // Where in the fine cell the value was is not known, so both ends count as visited.
    visit(s, o, 1, Math.min(largest, Math.max(smallest, fineLow + cell * fineWidth)));
    visit(s, o, 1, Math.min(largest, Math.max(smallest, fineLow + (cell + 0.999) * fineWidth)));
  }
  let visits = 0;
  for (let cell = 0; cell < CELLS; cell += 1) visits += (s[o + BITS]! >>> cell) & 1;
  s[o + VISITS] = visits;
}
