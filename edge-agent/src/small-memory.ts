import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8';

/** Bytes of the space for new objects: so much that readings on their way to the disk at full rate seldom outlive it. */
const NEW_SPACE_BYTES = 8 * 1024 * 1024;
/** By how much the heap may grow between two full collections, in percent. */
const GROWING_PERCENT = 30;
const OBJECTS_AT_ONCE = 5_000;
/** Objects that are kept at most to make the space grow: far more than it takes. */
const OBJECTS_MAX = 500_000;

/**
 * To be called before anything else is loaded: keeps the garbage of this process small. On a machine with much memory V8 lets it grow to several
 * times what is in use. ADR-0015 has the figures, and says why there is no command-line flag instead.
 */
export function keepMemorySmall(): void {
  setFlagsFromString(`--heap-growing-percent=${GROWING_PERCENT}`);
  growNewSpace();
  setFlagsFromString('--semi-space-growth-factor=1');
}

/** The space grows when objects outlive a collection. It begins at 1 MB, and doubles. */
function growNewSpace(): void {
  const kept: object[] = [];
  while (newSpaceBytes() < NEW_SPACE_BYTES && kept.length < OBJECTS_MAX) {
    for (let i = 0; i < OBJECTS_AT_ONCE; i++) kept.push({ i });
  }
}

function newSpaceBytes(): number {
  return getHeapSpaceStatistics().find(({ space_name: name }) => name === 'new_space')?.space_size ?? Infinity;
}
