import type { CapturedSection, PastNumbers, StateArray, StateSection } from '../state-section.ts';
import type { RowsCut } from './rows-cut.ts';
import type { RowTable } from './row-table.ts';

/** What {@link LearnedState} says of itself, so that a snapshot of something else is not taken for it. */
export interface LearnedLayout {
  /** Counts up when the meaning of the numbers in a row changes. */
  readonly version: number;
  /** The configuration that gives the numbers their meaning: what was learned under another one is not taken up. JSON. */
  readonly basis: Readonly<Record<string, string | number | boolean>>;
}

/**
 * What a statistic or a detector has learned of all sensors: it can be lost and learned again, which costs a sensor its warm-up but no
 * reading and no record. All of it lies in tables with one row per sensor.
 */
export class LearnedState {
  readonly layout: LearnedLayout;
  readonly #tables: Readonly<Record<string, RowTable>>;
  readonly #learns: (slot: number) => boolean;

  /** @param learns whether the sensor is learned at all. One that is not begins anew when it is again. */
  constructor(
    layout: LearnedLayout,
    tables: Readonly<Record<string, RowTable>>,
    learns: (slot: number) => boolean = () => true,
  ) {
    this.layout = layout;
    this.#tables = tables;
    this.#learns = learns;
  }

  /** What was learned at the moment of a cut. */
  capture(cut: RowsCut): Record<string, PastNumbers> {
    return Object.fromEntries(Object.entries(this.#tables).map(([name, table]) => [name, table.past(cut)]));
  }

  /**
   * Takes up what a snapshot of the same layout holds of the sensors that there are: as many as the snapshot was of.
   *
   * @param sensors how many there are.
   * @throws RangeError before anything is changed, if the arrays are not those of so many sensors.
   */
  restore(arrays: Readonly<Record<string, StateArray>>, sensors: number): void {
    const rows = Object.entries(this.#tables).map(([name, table]) => {
      const numbers = arrays[name];
      if (!(numbers instanceof Float64Array) || numbers.length !== table.size) {
        throw new RangeError(`${name} holds ${numbers?.length ?? 'no'} numbers instead of ${table.size}`);
      }
      return { table, numbers };
    });
    for (const { table, numbers } of rows) table.restore(numbers);
    for (let slot = 0; slot < sensors; slot++) {
      if (!this.#learns(slot)) for (const { table } of rows) table.clear(slot);
    }
  }
}

/** What the names of these sections begin with. */
export const LEARNED = 'detector:';

/** The section of what is learned under that name, with further arrays of the caller's. */
export const learnedSection = (
  name: string,
  state: LearnedState | undefined,
  cut: RowsCut,
  further: Readonly<Record<string, StateArray>> = {},
): CapturedSection => ({
  name: `${LEARNED}${name}`,
  version: state?.layout.version ?? 0,
  values: { basis: state?.layout.basis ?? {} },
  arrays: { ...state?.capture(cut), ...further },
});

/** @throws RangeError, and nothing is changed, unless the section holds what is learned now, of that many sensors. */
export function restoreLearned(section: StateSection, state: LearnedState | undefined, sensors: number): void {
  const { version, basis } = state?.layout ?? { version: 0, basis: {} };
  if (section.version !== version) throw new RangeError(`it is of version ${section.version} instead of ${version}`);
  const saved = JSON.stringify((section.values as { readonly basis?: unknown } | null)?.basis);
  if (saved !== JSON.stringify(basis))
    throw new RangeError(`it was learned with ${saved}, not ${JSON.stringify(basis)}`);
  state?.restore(section.arrays, sensors);
}
