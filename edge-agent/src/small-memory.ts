import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8';

/** Bytes of the space for new objects: so much that readings on their way to the disk at full rate seldom outlive it. */
const NEW_SPACE_BYTES = 8 * 1024 * 1024;
/** By how much the heap may grow between two full collections, in percent. */
const GROWING_PERCENT = 30;
/** How often the space is looked at. It doubles at most once or twice meanwhile, and a look costs a few microseconds. */
const LOOK_MS = 100;
/** What is loaded meanwhile must not make the space grow. */
const LOADING_MS = 2_000;

/**
 * To be called before anything else is loaded: keeps the garbage of this process small. On a machine with much memory V8 lets it grow to several
 * times what is in use. ADR-0015 has the figures, and says why there is no command-line flag instead.
 */
export function keepMemorySmall(): void {
  setFlagsFromString(`--heap-growing-percent=${GROWING_PERCENT}`);
  setNewSpaceFactor(1);
  setTimeout(() => setInterval(limitNewSpace, LOOK_MS).unref(), LOADING_MS).unref();
}

/** V8 lets the space shrink to 1 MB when little happens, and so it must be able to grow again. */
function limitNewSpace(): void {
  setNewSpaceFactor(newSpaceBytes() < NEW_SPACE_BYTES ? 2 : 1);
}

let factorNow = 0;

/** By what the space grows when much outlives a collection; 1: it does not. */
function setNewSpaceFactor(factor: number): void {
  if (factor === factorNow) return;
  factorNow = factor;
  setFlagsFromString(`--semi-space-growth-factor=${factor}`);
}

function newSpaceBytes(): number {
  return getHeapSpaceStatistics().find(({ space_name: name }) => name === 'new_space')?.space_size ?? Infinity;
}
