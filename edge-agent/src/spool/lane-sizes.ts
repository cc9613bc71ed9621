const KIB = 1024;
const MIB = 1024 * KIB;

/** Bytes of a lane's segment, which is what an append must fit into: a tick of 20,000 sensors makes 4 MiB, and of long names more. */
export const laneSegmentBytes = (bytesMax: number): number => Math.floor(clamp(bytesMax / 16, 256 * KIB, 32 * MIB));

/** Bytes up to which outputs of several items are appended together. */
export const laneAppendBytes = (bytesMax: number): number => Math.min(MIB, laneSegmentBytes(bytesMax) / 2);

/** Bytes of the records that fit into one append: what a segment and its frames say of themselves takes less than the rest. */
export const laneFrameBytes = (bytesMax: number): number => Math.floor(laneSegmentBytes(bytesMax) * 0.95);

/** Bytes that only what begins an epoch may use: room for a dozen starts that find their lane full, each of which takes a page. */
export const LANE_RESERVE_BYTES = 64 * KIB;

const clamp = (bytes: number, min: number, max: number): number => Math.min(max, Math.max(min, bytes));
