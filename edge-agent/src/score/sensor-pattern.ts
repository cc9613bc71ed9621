import type { SensorName } from '@floorwatch/contracts';
import { z } from 'zod';

/** A pattern for names: `*` stands for any run of characters, `?` for one, everything else for itself, case included. */
export const namePatternSchema = z.string().min(1).max(128).default('*');

/** Which sensors a rule is for. */
export interface SensorPattern {
  readonly device: string;
  readonly metric: string;
}

/** The first of `rules` whose patterns match the sensor's device and metric. */
export function findRule<R extends SensorPattern>(rules: readonly R[], sensor: SensorName): R | undefined {
  return rules.find((rule) => matchesName(rule.device, sensor.device) && matchesName(rule.metric, sensor.metric));
}

/**
 * Whether the whole of `name` matches `pattern`. Steps back to the last `*` only, which suffices and takes at most
 * pattern × name steps, whatever the pattern.
 */
export function matchesName(pattern: string, name: string): boolean {
  const [p, n] = [Array.from(pattern), Array.from(name)];
  let i = 0;
  let j = 0;
  let star = -1;
  let resume = 0;
  while (j < n.length) {
    if (p[i] === '*') {
      star = i++;
      resume = j;
    } else if (i < p.length && (p[i] === '?' || p[i] === n[j])) {
      i++;
      j++;
    } else if (star >= 0) {
      i = star + 1;
      j = ++resume;
    } else {
      return false;
    }
  }
  while (p[i] === '*') i++;
  return i === p.length;
}
