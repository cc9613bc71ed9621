import type { EpochMs, FloorRecord, RollupSensor } from '@floorwatch/contracts';

/** A record as it lies in the spool: it can be understood without the records around it. */
export interface SpooledRecord {
  readonly record: FloorRecord;
  /** What the `sensor` column of rollups points into; empty for every other record. */
  readonly sensors: readonly RollupSensor[];
  /** Position in the journal of the item that caused it. */
  readonly position: number;
  /** The gateway's clock when that item came. */
  readonly at: EpochMs;
  /** Of a start record: the epoch that it begins. The lane knows it too; this is for the day on which its table is lost. */
  readonly epoch?: string;
}

/** As JSON in UTF-8. */
export const encodeSpooled = (spooled: SpooledRecord): Uint8Array => Buffer.from(JSON.stringify(spooled));

/** What {@link encodeSpooled} made. Only this program writes the spool, so nothing is checked. */
export const decodeSpooled = (bytes: Uint8Array): SpooledRecord =>
  JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString()) as SpooledRecord;
