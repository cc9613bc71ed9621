/** A copy of `array` with `length` elements, the new ones `fill`. */
export function growFloat64(array: Float64Array, length: number, fill = 0): Float64Array<ArrayBuffer> {
  const larger = new Float64Array(length);
  larger.set(array);
  if (fill !== 0) larger.fill(fill, array.length);
  return larger;
}

/** A copy of `array` with `length` elements, the new ones 0. */
export function growUint32(array: Uint32Array, length: number): Uint32Array<ArrayBuffer> {
  const larger = new Uint32Array(length);
  larger.set(array);
  return larger;
}

/** A copy of `array` with `length` elements, the new ones 0. */
export function growUint8(array: Uint8Array, length: number): Uint8Array<ArrayBuffer> {
  const larger = new Uint8Array(length);
  larger.set(array);
  return larger;
}

/** A copy of `array` with `length` elements, the new ones `fill`. */
export function growInt32(array: Int32Array, length: number, fill: number): Int32Array<ArrayBuffer> {
  const larger = new Int32Array(length);
  larger.set(array);
  larger.fill(fill, array.length);
  return larger;
}

/** How many slots to make room for: `capacity` doubled until `slots` fit, so that growing costs a constant per slot. */
export function capacityFor(slots: number, capacity: number): number {
  let larger = Math.max(capacity, 16);
  while (larger < slots) larger *= 2;
  return larger;
}
