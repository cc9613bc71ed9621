/**
 * How often a change comes after a run of equal values. A value that is held for a while and then jumps is two improbable things at
 * once: a transmitter that repeated its last value until the connection was back. Each alone is ordinary on most sensors.
 *
 * The state is {@link RUN_FIELDS} consecutive numbers of the sensor's row, beginning at `o`.
 */

/** Repetitions of the last value, and how many the change before this reading ended. */
const RUN = 0;
const ENDED = 1;
/** Changes so far; behind it, changes that ended at least one repetition, at least two … */
const CHANGES = 2;
const REPETITIONS_COUNTED = 4;
export const RUN_FIELDS = CHANGES + REPETITIONS_COUNTED + 1;

/** A run counts from a decade of improbability on, one change in ten, and in full from two on: half as much again. */
const DECADES_MIN = 1;
const DECADES_FULL = 2;
const SHARE_PER_DECADE = 0.25;

/** Takes in whether the reading is another value than the one before. */
export function learnRun(s: Float64Array, o: number, isChange: boolean): void {
  if (!isChange) {
    s[o + RUN] = s[o + RUN]! + 1;
    s[o + ENDED] = 0;
    return;
  }
  const ended = s[o + RUN]!;
  s[o + RUN] = 0;
  s[o + ENDED] = ended;
  const last = o + CHANGES + Math.min(ended, REPETITIONS_COUNTED);
  for (let place = o + CHANGES; place <= last; place += 1) s[place] = s[place]! + 1;
}

/** The repetitions that the reading taken in last has ended, if so many are rare; else 0. */
export const rareRun = (s: Float64Array, o: number): number => (decades(s, o) < DECADES_MIN ? 0 : s[o + ENDED]!);

/** How much more the change to the reading taken in last counts for the run that it ended: a factor of 1 to 1.5. */
export function runFactor(s: Float64Array, o: number): number {
  const found = decades(s, o);
  return found < DECADES_MIN ? 1 : 1 + SHARE_PER_DECADE * Math.min(found, DECADES_FULL);
}

/** −log10 of the share of the sensor's changes that came after so many equal values, this one included. */
function decades(s: Float64Array, o: number): number {
  const ended = Math.min(s[o + ENDED]!, REPETITIONS_COUNTED);
  return ended === 0 ? 0 : Math.log10(s[o + CHANGES]! / s[o + CHANGES + ended]!);
}
