import type { LaneFloor } from '@floorwatch/contracts';

import type { LaneSpool } from '../lane-spool.ts';

/** A floor in positions of the lane. */
export interface LocatedFloor {
  /** The last position that is safe; `none`: no epoch has begun; `foreign`: the lane never had the epoch, or forgot it. */
  readonly through: number | 'none' | 'foreign';
  /** Whether the processor lacks something of this lane that it knows to exist. */
  readonly hole: boolean;
  /** The last number that the lane gave in the epoch, where the processor has more: the disk is an older copy of itself. */
  readonly beyond?: number;
}

/**
 * Finds the place of a floor. A floor beyond the end of its epoch counts as that end: what the numbers behind it were elsewhere says nothing
 * about the positions that follow here.
 */
export function locateFloor(
  lane: Pick<LaneSpool, 'locate' | 'next'>,
  { epoch, floor, highest }: LaneFloor,
): LocatedFloor {
  const hole = highest > floor;
  if (epoch === null) return { through: 'none', hole };
  const first = lane.locate(epoch, 1);
  const end = lane.locate(epoch, Number.MAX_SAFE_INTEGER);
  if (first === undefined || end === undefined) return { through: 'foreign', hole };
  const through = Math.min(first + floor, end, lane.next) - 1;
  const last = through - first + 1;
  return last === floor ? { through, hole } : { through, hole: false, beyond: last };
}
