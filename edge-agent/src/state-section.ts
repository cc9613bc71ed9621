/** Numbers in flat arrays: what can be copied and written without looking at each. */
export type StateArray = Float64Array | Float32Array | Int32Array | Uint32Array | Uint16Array | Uint8Array;

/**
 * A part of the agent's state as a snapshot holds it. A copy: nothing in it changes any more when it is written.
 *
 * Sections of accumulators (open rollups, open episodes, duplicate keys) must be readable by every later release. A detector's section may
 * be of a version that this release does not know; it is then left out, and the detector learns again.
 */
export interface StateSection {
  /** Such as `rollups` or `detector:stuck`. */
  readonly name: string;
  /** Counts up when the meaning of `values` or `arrays` changes. */
  readonly version: number;
  /** JSON. */
  readonly values: unknown;
  readonly arrays: Readonly<Record<string, StateArray>>;
}
