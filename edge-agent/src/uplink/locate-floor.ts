import type { LaneFloor } from '@floorwatch/contracts';

import type { LaneSpool } from '../lane-spool.ts';

/** A floor in positions of the lane. */
export interface LocatedFloor {
  /** The last position that is safe; `none`: no epoch has begun; `foreign`: the lane never had any of the epochs, or forgot them. */
  readonly through: number | 'none' | 'foreign';
  /** The epoch that was heard last is not one of this lane. */
  readonly isForeign: boolean;
  /** Whether the processor lacks something of this lane that it knows to exist. */
  readonly hole: boolean;
  /** The last number that the lane gave in the epoch, where the processor has more: the disk is an older copy of itself. */
  readonly beyond?: number;
}

/**
 * Finds the place of a floor. A floor beyond the end of its epoch counts as that end: what the numbers behind it were elsewhere says nothing
 * about the positions that follow here.
 *
 * Where the epoch heard last is that of a copy of this gateway, the newest one that the lane knows tells what is safe of its own records.
 */
export function locateFloor(
  lane: Pick<LaneSpool, 'locate' | 'next'>,
  { epoch, floor, highest, others = [] }: LaneFloor,
): LocatedFloor {
  const hole = highest > floor;
  if (epoch === null) return { through: 'none', isForeign: false, hole };
  const own = locate(lane, epoch, floor);
  if (own !== undefined) {
    const { through, last } = own;
    if (last === floor) return { through, isForeign: false, hole };
    return { through, isForeign: false, hole: false, beyond: last };
  }
  const known = others.flatMap((other) => locate(lane, other.epoch, other.floor)?.through ?? []);
  return { through: known.length === 0 ? 'foreign' : Math.max(...known), isForeign: true, hole: false };
}

/**
 * What of a floor can't be true: nobody can have more than was sent, or more of an epoch than it has. `forged`: nor was it so before the disk
 * was set back to an older copy, because it speaks of the newest epoch, which began here, or of what is there and was never sent.
 */
export function doubtsOf(
  lane: Pick<LaneSpool, 'epoch' | 'heldFrom'>,
  { through, beyond }: LocatedFloor,
  epoch: string | null,
  sentThrough: number,
): 'none' | 'beyond' | 'forged' {
  if (typeof through === 'number' && lane.heldFrom(sentThrough + 1) <= through) return 'forged';
  if (beyond === undefined) return 'none';
  return epoch === lane.epoch ? 'forged' : 'beyond';
}

/** The place of a number, and which number of the epoch that is; undefined: the lane does not know the epoch. */
function locate(
  lane: Pick<LaneSpool, 'locate' | 'next'>,
  epoch: string,
  floor: number,
): { readonly through: number; readonly last: number } | undefined {
  const first = lane.locate(epoch, 1);
  const end = lane.locate(epoch, Number.MAX_SAFE_INTEGER);
  if (first === undefined || end === undefined) return undefined;
  const through = Math.min(first + floor, end, lane.next) - 1;
  return { through, last: through - first + 1 };
}
