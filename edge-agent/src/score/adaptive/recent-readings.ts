import { JUMP_DOWN, JUMP_UP, NEW_VALUE, PULSE } from './parameters.ts';

/** Readings whose range a jump has to leave. Their values are kept in the sensor's row, newest first, beginning at `recent`. */
export const RECENT_READINGS = 6;

/** A pulse is at most this many readings long; one more has to come before it. */
const PULSE_READINGS = 3;

/**
 * The pulse that the value ends, to be called before {@link measureJump}: how far the readings between it and an earlier one all lay
 * above both (below: negative), at most {@link PULSE_READINGS} of them; 0 if they did not. What comes back at once is no change of the
 * operating point, however often that changes by as much.
 */
export function measurePulse(s: Float64Array, recent: number, features: Float64Array): void {
  const after = features[NEW_VALUE]!;
  // Distances are counted away from the value, towards the reading before it: upwards or downwards.
  const sign = s[recent]! > after ? 1 : -1;
  let height = 0;
  let within = Infinity;
  for (let i = recent; i < recent + PULSE_READINGS; i += 1) {
    const distance = sign * (s[i]! - after);
    if (distance <= height) break;
    if (distance < within) within = distance;
    const before = sign * (s[i + 1]! - after);
    const above = before > 0 ? within - before : within;
    if (above > height) height = above;
  }
  features[PULSE] = height === 0 ? 0 : sign * height;
}

/**
 * How far the value lies above or below the range of the last values, which begin at `recent`; 0 inside. Then it becomes the newest of
 * them.
 */
export function measureJump(s: Float64Array, recent: number, features: Float64Array): void {
  const value = features[NEW_VALUE]!;
  // Only in the direction away from the newest can it have left the range, and mostly one of the next values shows that it has not.
  const sign = value > s[recent]! ? 1 : -1;
  let jump = Infinity;
  for (let i = recent; i < recent + RECENT_READINGS && jump > 0; i += 1) {
    const distance = sign * (value - s[i]!);
    if (distance < jump) jump = distance;
  }
  features[JUMP_UP] = 0;
  features[JUMP_DOWN] = 0;
  if (jump > 0) features[sign > 0 ? JUMP_UP : JUMP_DOWN] = jump;
  for (let i = recent + RECENT_READINGS - 1; i > recent; i -= 1) s[i] = s[i - 1]!;
  s[recent] = value;
}
