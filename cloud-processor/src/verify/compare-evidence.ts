import { addHash, COUNT_MS, epochMs, type GatewayName, type HashSum, noHashes, sizeLabel } from '@floorwatch/contracts';

import { evidenceAt, evidenceFrom, type EvidenceSnapshot } from './evidence.ts';
import type { Difference } from '@floorwatch/contracts/api';
import type { StretchTally } from './stretch-tally.ts';

const TWO_32 = 2 ** 32;

/** What the differences of single sensors say that one size lacks (or, negative, has too much of) in a stretch. */
export interface Explained {
  n: number;
  hash: number;
}

/**
 * Compares, for one gateway, the windows of all its sensors together with the sums in the checkpoint: what is gone together with the rows
 * in `counted` that would say so is missed here.
 */
export class EvidenceComparer {
  /** Stretches of one size that were compared. */
  stretches = 0;
  readonly #name: GatewayName;
  readonly #evidence: EvidenceSnapshot | undefined;
  readonly #report: (difference: Difference) => void;

  constructor(
    { site, gateway, evidence }: GatewayName & { readonly evidence: EvidenceSnapshot | undefined },
    report: (difference: Difference) => void,
  ) {
    this.#name = { site, gateway };
    this.#evidence = evidence;
    this.#report = report;
  }

  /**
   * Compares the windows of `size` in [start, end), which are whole hours.
   *
   * @param explained what has been reported of single sensors there.
   */
  compare(tally: StretchTally | undefined, size: number, start: number, end: number, explained: Explained): void {
    if (this.#evidence === undefined || start < evidenceFrom(this.#evidence)) return;
    const taken = this.#taken(this.#evidence, start, end);
    const stored = storedOf(tally, size);
    this.stretches += 1;
    const isSame = (missing: Explained): boolean =>
      stored.newer > 0
        ? stored.n - stored.newer + missing.n <= taken.n && taken.n <= stored.n + missing.n
        : wrapped(stored.n + missing.n) === taken.n && isSameHash(stored.hash, missing.hash, taken.hash);
    if (isSame({ n: 0, hash: 0 }) || isSame(explained)) return;
    this.#report({
      kind: 'taken',
      ...this.#name,
      sensor: null,
      size: sizeLabel(size),
      from: epochMs(start),
      to: epochMs(end),
      told: { n: taken.n, hash: null },
      stored: { n: stored.n, hash: null },
      finding:
        stored.n === taken.n
          ? `windows of ${sizeLabel(size)} of all sensors hold ${stored.n} readings, but not the ${taken.n} that the processor took`
          : `windows of ${sizeLabel(size)} of all sensors hold ${stored.n} readings, the processor took ${taken.n}`,
      cause:
        stored.n < taken.n
          ? 'windows were removed together with what the gateway had counted: the store was emptied, or an older copy of it put back; or readings found no place in a window'
          : 'windows were changed or stored twice, or belong to no reading that the processor took',
      remedy:
        'find out what happened to the store; "reprocess" over that time makes windows again from what the stream holds',
    });
  }

  /** Hours are few: one per stretch, but for windows longer than an hour. */
  #taken(evidence: EvidenceSnapshot, start: number, end: number): { readonly n: number; readonly hash: number } {
    let [n, hash] = [0, 0];
    for (let at = start; at < end; at += COUNT_MS) {
      const sums = evidenceAt(evidence, at);
      n = wrapped(n + sums.readings);
      hash = wrapped(hash + sums.hash);
    }
    return { n, hash };
  }
}

function storedOf(
  tally: StretchTally | undefined,
  size: number,
): { readonly n: number; readonly newer: number; readonly hash: HashSum } {
  let [n, newer] = [0, 0];
  const hash = noHashes();
  for (const { sizes } of tally?.sensors.values() ?? []) {
    const held = sizes.get(size);
    if (held === undefined) continue;
    n += held.n;
    newer += held.newer;
    addHash(hash, held.hash);
  }
  return { n, newer, hash };
}

/** The lower half alone: the checkpoint keeps no more. Unknown where a rollup came without a hash. */
const isSameHash = (stored: HashSum, missing: number, taken: number): boolean =>
  Number.isNaN(stored.low) || Number.isNaN(missing) || wrapped(stored.low + missing) === taken;

/** Modulo 2^32, also of a negative number. */
const wrapped = (value: number): number => ((value % TWO_32) + TWO_32) % TWO_32;
