/** Numbers from the first to the last, both included. */
type Stretch = readonly [from: number, to: number];

/** Which numbers of which epochs a stream holds. Cheap while they come in order: what touches becomes one stretch. */
export class HeldNumbers {
  /** By source, then by epoch: disjoint stretches in order that do not touch. */
  readonly #held = new Map<string, Map<string, Stretch[]>>();

  /** The stream holds the numbers `from` to `to` of an epoch. */
  add(source: string, epoch: string, from: number, to: number): void {
    let epochs = this.#held.get(source);
    if (epochs === undefined) {
      epochs = new Map();
      this.#held.set(source, epochs);
    }
    const stretches = epochs.get(epoch);
    const last = stretches?.at(-1);
    if (stretches === undefined) epochs.set(epoch, [[from, to]]);
    else if (last !== undefined && from >= last[0] && from <= last[1] + 1) {
      stretches[stretches.length - 1] = [last[0], Math.max(last[1], to)];
    } else epochs.set(epoch, joined(stretches, from, to));
  }

  /** The highest number from `from` to `to` that is not held; undefined: all are. */
  lastMissing(source: string, epoch: string, from: number, to: number): number | undefined {
    const stretch = this.#held
      .get(source)
      ?.get(epoch)
      ?.find(([first, last]) => first <= to && to <= last);
    if (stretch === undefined) return to;
    return stretch[0] <= from ? undefined : stretch[0] - 1;
  }
}

function joined(stretches: readonly Stretch[], from: number, to: number): Stretch[] {
  const apart = stretches.filter(([first, last]) => last < from - 1 || first > to + 1);
  const touching = stretches.filter(([first, last]) => last >= from - 1 && first <= to + 1);
  const whole: Stretch = [
    Math.min(from, ...touching.map(([first]) => first)),
    Math.max(to, ...touching.map(([, last]) => last)),
  ];
  return [...apart, whole].sort(([a], [b]) => a - b);
}
