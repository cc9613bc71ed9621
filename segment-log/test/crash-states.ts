import { type PositionRange, SegmentLog, type SegmentLogOptions } from '../src/index.ts';
import { type Change, MemoryFileSystem, type Survival } from './memory-file-system.ts';

const DIRECTORY = 'log';

/** What was promised when the power went, and what the disk looks like to the next start. */
interface CrashState {
  readonly how: string;
  readonly disk: MemoryFileSystem;
  /** Positions up to here were acknowledged. */
  readonly acknowledged: number;
  /** Positions before it were trimmed, at least, or were about to be. */
  readonly trimmed: number;
  /** Positions that were passed over, or were about to be. */
  readonly skipped: readonly PositionRange[];
}

/** A promise of the log that a crash state broke. */
export interface BrokenPromise {
  readonly how: string;
  readonly problem: string;
}

export interface Enumeration {
  readonly states: number;
  readonly broken: readonly BrokenPromise[];
}

const options = (fileSystem: MemoryFileSystem): SegmentLogOptions => ({
  directory: DIRECTORY,
  durability: 'power',
  bytesMax: 160 * 1024,
  segmentBytesMax: 32 * 1024,
  whenFull: 'drop-unsent',
  fileSystem,
});

/** An item that says its position, of a size that depends on it: frames below a page, of one, and of several. */
function item(position: number): Buffer {
  const bytes = Buffer.alloc(8 + ((position * 37) % 900), position % 251);
  bytes.writeDoubleLE(position);
  return bytes;
}

function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

type Variant = readonly [how: string, survives: Survival, nameSurvives: () => boolean];

/** What the disk may have got of the writes that were not synced, in every way that disks are known to fail. */
function variants(random: () => number): Variant[] {
  const yes = (): boolean => true;
  const no = (): boolean => false;
  const some = (): boolean => random() < 0.5;
  const only = (change: (write: Change & { kind: 'write' }) => Change | undefined): Survival => {
    return (found) => (found.kind === 'write' ? change(found) : found);
  };
  const prefix = (share: number): Survival =>
    only((write) => ({ ...write, bytes: write.bytes.subarray(0, Math.floor(write.bytes.length * share)) }));
  return [
    ['nothing', () => undefined, no],
    ['everything', (change) => change, yes],
    ['contents without names', (change) => change, no],
    ['names without contents', () => undefined, yes],
    ['a prefix', prefix(random()), some],
    ['a prefix that ends in a frame header', only((write) => ({ ...write, bytes: write.bytes.subarray(0, 20) })), yes],
    ['all but the last byte', only((write) => ({ ...write, bytes: write.bytes.subarray(0, -1) })), yes],
    ['torn sectors of 512', sectors(random, 512), some],
    ['torn pages of 4096', sectors(random, 4_096), some],
    ['the end without the beginning', only((write) => withoutHead(write, 512)), yes],
    ['later writes without earlier ones', (change, index) => (index > 0 || some() ? change : undefined), some],
    ['a flipped bit', only((write) => ({ ...write, bytes: flipped(write.bytes, random) })), yes],
    ['what was there before', only((write) => ({ ...write, bytes: Buffer.alloc(write.bytes.length, 0xff) })), yes],
    ['a length without contents', only((write) => ({ ...write, bytes: Buffer.alloc(write.bytes.length) })), yes],
  ];
}

const sectors = (random: () => number, size: number): Survival => {
  return (change) => {
    if (change.kind !== 'write') return change;
    const bytes = Buffer.from(change.bytes);
    // A sector that did not make it holds what the disk held: zeros, behind the end of the file.
    for (let at = -(change.offset % size); at < bytes.length; at += size) {
      if (random() < 0.5) bytes.fill(0, Math.max(0, at), Math.min(bytes.length, at + size));
    }
    return { ...change, bytes };
  };
};

const withoutHead = (write: Change & { kind: 'write' }, bytes: number): Change => ({
  ...write,
  offset: write.offset + bytes,
  bytes: write.bytes.subarray(bytes),
});

function flipped(bytes: Buffer, random: () => number): Buffer {
  const copy = Buffer.from(bytes);
  if (copy.length === 0) return copy;
  const at = Math.floor(random() * copy.length);
  copy.writeUInt8(copy.readUInt8(at) ^ (1 << Math.floor(random() * 8)), at);
  return copy;
}

/** A bug that is put in on purpose, to see that it is found. */
export interface PlantedBug {
  /** The disk of the log that runs says it has synced, and has not: items are acknowledged before they are safe. */
  readonly acknowledgesUnsynced?: boolean;
  /** The same for what a start finds. */
  readonly trustsWhatItFinds?: boolean;
}

/**
 * Runs a log through appends, marks, cursors, trims, drops, skips and restarts after kills, cuts the power before every operation on a file, and
 * starts from everything that the disk may then hold.
 */
export async function enumerateCrashStates(
  seed: number,
  statesMax: number,
  bug: PlantedBug = {},
): Promise<Enumeration> {
  const random = randomFrom(seed);
  const broken: BrokenPromise[] = [];
  let states = 0;
  for (let run = 0; states < statesMax; run++) {
    let waiting: CrashState[] = [];
    let acknowledged = 0;
    let trimmed = 1;
    const skipped: PositionRange[] = [];
    let disk = new MemoryFileSystem();
    const cutBeforeEveryOperation = (): void => {
      disk.fault = (operation, file) => {
        if (operation === 'read') return;
        for (const [how, survives, nameSurvives] of variants(random)) {
          const cut = disk.afterPowerCut(survives, nameSurvives);
          waiting.push({
            how: `seed ${seed}, run ${run}: ${how}, before ${operation} ${file}`,
            disk: cut,
            acknowledged,
            trimmed,
            skipped,
          });
        }
      };
    };
    cutBeforeEveryOperation();
    let { log } = await SegmentLog.open(options(disk));
    disk.lies = bug.acknowledgesUnsynced ?? false;
    for (let step = 0; step < 25; step++) {
      const action = random();
      if (action < 0.08) {
        disk = await killedInAppend(disk, log, Math.floor(random() * 6));
        disk.lies = bug.trustsWhatItFinds ?? false;
        cutBeforeEveryOperation();
        ({ log } = await SegmentLog.open(options(disk)));
        disk.lies = bug.acknowledgesUnsynced ?? false;
        // A start builds on what it finds.
        acknowledged = log.next - 1;
      } else if (action < 0.14) {
        trimmed = Math.max(trimmed, Math.floor(log.first + random() * (log.next - log.first)));
        await log.trim(trimmed);
      } else if (action < 0.2) {
        await log.markSent(log.first);
      } else if (action < 0.25) {
        await log.setCursor('reader', 1 + Math.floor(random() * 100));
      } else if (action < 0.3) {
        const position = log.next + Math.floor(random() * 20);
        skipped.push({ from: log.next, to: position - 1 });
        await log.advanceTo(position);
        acknowledged = log.next - 1;
      } else {
        const count = 1 + Math.floor(random() * random() * 30);
        const { next } = log;
        await log.append(Array.from({ length: count }, (_, index) => item(next + index)));
        acknowledged = log.next - 1;
      }
      for (const state of waiting) {
        states += 1;
        const problem = await problemOf(state).catch((error: unknown) => `it failed: ${String(error)}`);
        if (problem !== undefined) broken.push({ how: state.how, problem });
      }
      waiting = [];
      if (broken.length > 0) return { states, broken };
    }
  }
  return { states, broken };
}

/** Kills the process before some operation of an append: what was written is there, and nothing more of it is safe. */
async function killedInAppend(disk: MemoryFileSystem, log: SegmentLog, operations: number): Promise<MemoryFileSystem> {
  let left = operations;
  let killed: MemoryFileSystem | undefined;
  disk.fault = (operation) => {
    if (operation !== 'read' && left-- > 0) return;
    killed ??= disk.afterKill();
    throw new Error('killed');
  };
  const { next } = log;
  await log.append(Array.from({ length: 5 }, (_, index) => item(next + index))).catch(() => {});
  return killed ?? disk.afterKill();
}

/** Starts from a crash state; says which promise is broken, if one is. */
async function problemOf({ disk, acknowledged, trimmed, skipped }: CrashState): Promise<string | undefined> {
  const { log, recovery } = await SegmentLog.open(options(disk));
  if (recovery.damage.length > 0) return `damage where there was none: ${JSON.stringify(recovery.damage)}`;
  if (log.next - 1 < acknowledged) return `${acknowledged} was acknowledged, ${log.next - 1} is the last`;
  const missing = await missingOf(log, skipped);
  if (missing !== undefined) return missing;
  for (const { from, to, why } of log.absences({ from: Math.max(trimmed, 1), to: Math.max(trimmed, log.next - 1) }))
    if (why === 'trimmed' && from >= trimmed) return `${from} to ${to} count as trimmed`;
  // What a start has found stays, also if the power goes at once.
  const last = log.next - 1;
  const { log: again } = await SegmentLog.open(options(disk.afterPowerCut(() => undefined)));
  if (again.next - 1 < last) return `a start had found ${last}, the next one finds ${again.next - 1}`;
  const { next } = again;
  if ((await again.append([item(next)])) !== next) return 'an append got another position';
  return missingOf(again, skipped);
}

/** Reads everything: each position is there with what was appended, or was trimmed, dropped or skipped. */
async function missingOf(log: SegmentLog, skipped: readonly PositionRange[]): Promise<string | undefined> {
  let next = log.first;
  for await (const { first, items } of log.read(log.first)) {
    if (first > next) {
      const gone = goneOf(log, { from: next, to: first - 1 }, skipped);
      if (gone !== undefined) return gone;
    }
    for (const [index, bytes] of items.entries())
      if (!item(first + index).equals(bytes)) return `position ${first + index} holds something else`;
    next = first + items.length;
  }
  return next === log.next ? undefined : goneOf(log, { from: next, to: log.next - 1 }, skipped);
}

function goneOf(log: SegmentLog, missing: PositionRange, skipped: readonly PositionRange[]): string | undefined {
  for (const { from, to, why } of log.absences(missing)) {
    const isSkipped =
      skipped.reduce<number>((next, range) => (range.from <= next ? Math.max(next, range.to + 1) : next), from) > to;
    if (why === 'damaged' || (why === 'skipped' && !isSkipped)) return `${from} to ${to} are gone: ${why}`;
  }
  return undefined;
}

/**
 * Damages what was safe: flips bits, cuts files short and takes files away. What is left and the damage that a start reports are together
 * exactly what was there.
 */
export async function enumerateDamage(seed: number, statesMax: number): Promise<Enumeration> {
  const random = randomFrom(seed);
  const disk = new MemoryFileSystem();
  const { log } = await SegmentLog.open({ ...options(disk), bytesMax: 1024 * 1024 });
  for (let i = 0; i < 60; i++) {
    const { next } = log;
    await log.append(Array.from({ length: 1 + (i % 12) }, (_, index) => item(next + index)));
  }
  await log.close();
  const last = log.next - 1;
  const segments = disk.names().filter((name) => name.endsWith('.seg'));
  const broken: BrokenPromise[] = [];
  for (let states = 0; states < statesMax; states++) {
    const damaged = disk.afterPowerCut(() => undefined);
    const name = segments[Math.floor(random() * segments.length)] ?? '';
    const at = Math.floor(random() * damaged.bytes(name).length);
    const how = random();
    if (how < 0.8) damaged.flip(name, at, Math.floor(random() * 8));
    else if (how < 0.95) damaged.put(name, damaged.bytes(name).subarray(0, at));
    else damaged.drop(name);
    const problem = await damageProblem(damaged, last).catch((error: unknown) => `it failed: ${String(error)}`);
    if (problem !== undefined)
      broken.push({ how: `seed ${seed}, state ${states}: ${how} in ${name} at ${at}`, problem });
  }
  return { states: statesMax, broken };
}

async function damageProblem(disk: MemoryFileSystem, last: number): Promise<string | undefined> {
  const { log, recovery } = await SegmentLog.open({ ...options(disk), bytesMax: 1024 * 1024 });
  if (log.next !== last + 1) return `the next position is ${log.next} instead of ${last + 1}`;
  const seen = new Set<number>();
  for await (const { first, items } of log.read(1)) {
    for (const [index, bytes] of items.entries()) {
      if (!item(first + index).equals(bytes)) return `position ${first + index} holds something else`;
      seen.add(first + index);
    }
  }
  for (const { from, to } of recovery.damage) {
    for (let position = from; position <= to; position++) {
      if (seen.has(position)) return `${position} counts as damaged and can be read`;
      seen.add(position);
    }
  }
  if (seen.size !== last) return `${last - seen.size} positions are neither there nor reported`;
  return (await log.append([item(last + 1)])) === last + 1 ? undefined : 'an append got another position';
}
