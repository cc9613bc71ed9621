import {
  type AnomalyRow,
  type Batch,
  durationMs,
  encodeBatch,
  epochMs,
  type FloorRecord,
  type GapRecord,
  ingestSubject,
  LANES,
  lastNumber,
  type WindowRow,
} from '@floorwatch/contracts';

import { Partition } from '../../../cloud-processor/src/partition.ts';
import { LateCorrector } from '../../../cloud-processor/src/write/late-corrector.ts';
import { rowKey } from '../../../cloud-processor/src/write/row-key.ts';
import { deaf, sequencerLimits } from '../../../cloud-processor/test/support/floor.ts';
import { MemoryStore } from '../../../cloud-processor/test/support/memory-store.ts';
import { WINDOWS } from './processor.ts';
import type { Site } from './site.ts';
import type { StoreModel } from './store-model.ts';
import { BASE } from './virtual-time.ts';
import type { World } from './world.ts';

interface Published {
  readonly record: FloorRecord;
  readonly batch: Batch;
}

/** Everything that gateways ever published, by gateway, lane, epoch and number. */
export class PublishedRecords {
  readonly #world: World;
  readonly #isDoubled: (gateway: string) => boolean;
  readonly #lanes = new Map<string, Map<string, Map<number, Published>>>();

  /** @param isDoubled whether there were two gateways of a name. */
  constructor(world: World, isDoubled: (gateway: string) => boolean) {
    this.#world = world;
    this.#isDoubled = isDoubled;
  }

  /** Takes a message of the stream; the same number must always say the same. */
  add(_subject: string, data: Uint8Array): void {
    // The processor checks it; what it can't use becomes a dead letter, which is a failure of its own.
    const batch = JSON.parse(Buffer.from(data).toString()) as Batch;
    const numbers = this.#epoch(batch);
    for (const record of batch.records) {
      const known = numbers.get(record.number);
      // Gaps grow.
      const isLonger = record.kind === 'gap' && known !== undefined && lastNumber(known.record) < record.to;
      if (known === undefined || isLonger) numbers.set(record.number, { record, batch });
      // What two agents of one journal have counted since their start differs, and so does when they tell it.
      else if ((record.kind === 'status' || record.kind === 'tick') && this.#isDoubled(batch.gateway)) continue;
      else if (record.kind !== 'gap' && known.record.kind !== 'gap' && textOf(known) !== textOf({ record, batch })) {
        const place = `${batch.gateway} ${batch.lane} ${batch.epoch} ${record.number}`;
        this.#world.fail(`${place} says something else: ${textOf(known)} and ${textOf({ record, batch })}`);
      }
    }
  }

  #epoch({ gateway, lane, epoch }: Batch): Map<number, Published> {
    const key = `${gateway}/${lane}`;
    let epochs = this.#lanes.get(key);
    if (epochs === undefined) this.#lanes.set(key, (epochs = new Map()));
    let numbers = epochs.get(epoch);
    if (numbers === undefined) epochs.set(epoch, (numbers = new Map()));
    return numbers;
  }

  /** The records of a lane in order, gaps in the place of what they stand for; `from` is the first number that is new. */
  *lane(gateway: string, lane: string): Generator<{ readonly epoch: string; readonly from: number } & Published> {
    const epochs = [...(this.#lanes.get(`${gateway}/${lane}`) ?? [])];
    epochs.sort(([a], [b]) => Number.parseInt(a, 10) - Number.parseInt(b, 10));
    for (const [epoch, numbers] of epochs) {
      const inOrder = [...numbers.values()].sort((a, b) => a.record.number - b.record.number);
      let next = 1;
      for (const published of inOrder) {
        const from = next;
        if (lastNumber(published.record) < from) continue;
        next = lastNumber(published.record) + 1;
        yield { epoch, from, ...published };
      }
    }
  }

  /** What gaps of a gateway declare lost, each frame once. */
  lostFrames(gateway: string): GapRecord['frames'] {
    return [...this.lane(gateway, 'telemetry')].flatMap(({ record, from }) =>
      record.kind === 'gap' ? record.frames.filter(({ to }) => to >= from) : [],
    );
  }

  /** Why numbers of a gateway were declared lost. */
  gapReasons(gateway: string): ReadonlySet<string> {
    const records = LANES.flatMap((lane) => [...this.lane(gateway, lane)].map(({ record }) => record));
    return new Set(records.flatMap((record) => (record.kind === 'gap' ? [record.reason] : [])));
  }

  /** Whether two starts name the same one before them, or one that has gone on since. */
  hasTwins(gateway: string): boolean {
    const successors = new Set<string>();
    for (const { record } of this.lane(gateway, 'telemetry')) {
      const predecessor = record.kind === 'start' ? record.predecessor : null;
      if (predecessor === null) continue;
      if (successors.has(predecessor.epoch)) return true;
      successors.add(predecessor.epoch);
    }
    return false;
  }
}

/** What a record says, whenever and with whatever it was sent. */
function textOf({ record, batch }: Published): string {
  if (record.kind !== 'rollups') return JSON.stringify({ ...record, provenance: undefined });
  const sensors = record.columns.sensor.map((index) => batch.sensors[index]);
  return JSON.stringify({ ...record, columns: { ...record.columns, sensor: sensors } });
}

interface Count {
  n: number;
  sum: number;
}

/** Checks what is in the store against what devices made and gateways published. */
export async function judge(
  world: World,
  sites: readonly Site[],
  { memory: store, deleted }: StoreModel,
  published: PublishedRecords,
): Promise<void> {
  const odd = sites.filter(({ isDoubled }) => isDoubled).map(({ name }) => name);
  checkDirection(world, store, deleted, odd);
  const contents = store.contents('window', 'anomaly');
  // What was deleted can be made again only of what the stream still holds.
  const isGone = (key: string): boolean => deleted.has(key) && contents[key] === undefined && world.mayLoseMessages;
  for (const site of sites) {
    checkWindows(world, site, contents, published, isGone);
    if (!site.isDoubled) checkEpisodes(world, site, contents, published);
  }
  const plain = sites.filter(({ name, isDoubled }) => !isDoubled && published.gapReasons(name).size === 0);
  const undisturbed = await foldUndisturbed(world, plain, published);
  for (const [key, text] of Object.entries(undisturbed)) {
    const stored = contents[key];
    if (isGone(key)) continue;
    if (stored === undefined) world.fail(`${key} is not in the store; undisturbed: ${text}`);
    else if (comparable(stored, world) !== comparable(text, world)) {
      world.fail(`${key} differs from the undisturbed run:\n  ${stored}\n  ${text}`);
    }
  }
}

/**
 * A window without what may differ from the undisturbed run: how it was made, how often it was corrected (where room is short, windows are
 * sealed early, which depends on who else has windows open), and the run's number where a processor began without its newest checkpoint.
 */
function comparable(text: string, world: World): string {
  const value = text.replace(/"provenance":"\w+"/, '').replace(/"revision":\d+/, '');
  return world.faults.has('damaged-checkpoint') ? value.replace(/"run":\d+/, '') : value;
}

/**
 * No value of a key may ever take the place of a newer one.
 *
 * @param odd gateways of which there were two: each tells of its own episodes, and both may tell of the same one.
 */
function checkDirection(
  world: World,
  { log }: MemoryStore,
  deleted: StoreModel['deleted'],
  odd: readonly string[],
): void {
  const ages = new Map<string, readonly number[]>();
  const again = new Set<string>();
  for (const [index, { key, row }] of log.entries()) {
    if (row.table !== 'window' && row.table !== 'anomaly') continue;
    if (row.table === 'anomaly' && odd.includes(row.sensor.gateway)) continue;
    const age = row.table === 'window' ? [row.revision] : [Number(row.phase === 'closed'), row.readings];
    const isNew = index >= (deleted.get(key) ?? Infinity) && !again.has(key);
    if (isNew) again.add(key);
    const before = isNew ? undefined : ages.get(key);
    ages.set(key, age);
    const difference = age.findIndex((value, i) => value !== before?.[i]);
    if (before !== undefined && difference !== -1 && age[difference]! < before[difference]!) {
      world.fail(`the store went backwards: ${key} from ${before.join(', ')} to ${age.join(', ')}`);
    }
  }
}

function checkWindows(
  world: World,
  site: Site,
  contents: Readonly<Record<string, string>>,
  published: PublishedRecords,
  isGone: (key: string) => boolean,
): void {
  const expected = new Map<string, Count>();
  const smallest = Math.min(...WINDOWS.sizes);
  let missing = 0;
  for (const { device, at, value, ackedAt } of site.devices.flatMap(({ made }) => made)) {
    const { restored } = site;
    // What the old disk had acknowledged and the image does not know may be lost with it.
    if (restored !== undefined && ackedAt! >= restored.from && ackedAt! <= restored.to) continue;
    for (const size of WINDOWS.sizes) {
      const sensor = { site: 'plant', gateway: site.name, device, metric: 'level' };
      const start = epochMs(Math.floor(at / size) * size);
      const key = rowKey({ table: 'window', sensor, size: durationMs(size), start });
      const count = expected.get(key) ?? { n: 0, sum: 0 };
      expected.set(key, { n: count.n + 1, sum: count.sum + value });
    }
  }
  const isExact = !site.isDoubled;
  const reasons = published.gapReasons(site.name);
  const hasGap = reasons.size > 0;
  const frames = published.lostFrames(site.name);
  // Windows that had been sealed are marked unless the stretch is too long.
  const unmarked = frames.flatMap(({ eventTimes }) =>
    eventTimes !== null && eventTimes.to - eventTimes.from >= WINDOWS.lostSealedMax ? [eventTimes] : [],
  );
  for (const reason of reasons) {
    // What one of two gateways has trimmed the other may have to ask for.
    const isMeant = reason === 'cap' ? world.faults.has('small-disk') : !isExact;
    if (!isMeant) world.fail(`${site.name}: numbers are lost without reason: ${reason}`);
  }
  for (const [key, { n, sum }] of expected) {
    if (isGone(key)) continue;
    const row = contents[key] === undefined ? undefined : (JSON.parse(contents[key]) as WindowRow);
    const found = row === undefined ? { n: 0, sum: 0 } : countOf(row);
    if (row?.size === smallest || key.includes(`/${smallest}/`)) missing += n - found.n;
    if (found.n === n && found.sum === sum && row?.incomplete !== true) continue;
    const isMarked = row === undefined || row.incomplete || unmarked.some(({ from, to }) => touches(row, from, to));
    if (hasGap && found.n <= n && isMarked) continue;
    if (!isExact && found.n >= n) continue;
    world.fail(
      `${key}: ${found.n} readings of sum ${found.sum} instead of ${n} of sum ${sum}${row?.incomplete ? ', marked incomplete' : ''}`,
    );
  }
  if (isExact) {
    for (const key of Object.keys(contents)) {
      if (key.startsWith('window/') && key.includes(`/${site.name}/`) && !expected.has(key))
        world.fail(`${key} is a window that nothing belongs to`);
    }
    const lost = frames.reduce((sum, { readings }) => sum + readings, 0);
    if (hasGap && missing !== lost && ![...expected.keys()].some(isGone))
      world.fail(`${site.name}: ${missing} readings are missing, its gaps tell of ${lost}`);
  }
}

const touches = ({ start, size }: WindowRow, from: number, to: number): boolean => start <= to && start + size > from;

function countOf({ aggregate }: WindowRow): Count {
  const { n, mean, reference } = aggregate;
  return { n, sum: Math.round(n * (reference + mean)) + 0 };
}

/** Every episode that was published is in the store, as its last record says. */
function checkEpisodes(
  world: World,
  site: Site,
  contents: Readonly<Record<string, string>>,
  published: PublishedRecords,
): void {
  const last = new Map<string, Extract<FloorRecord, { kind: 'anomaly' }>>();
  for (const { record } of published.lane(site.name, 'anomaly'))
    if (record.kind === 'anomaly') last.set(record.id, record);
  const stored = new Map<string, AnomalyRow>();
  for (const [key, text] of Object.entries(contents)) {
    if (!key.startsWith('anomaly/')) continue;
    const row = JSON.parse(text) as AnomalyRow;
    if (row.sensor.gateway === site.name) stored.set(row.id, row);
  }
  for (const [id, { phase, readings, eventTime }] of last) {
    const row = stored.get(id);
    if (row?.phase !== phase || row.readings !== readings || row.eventTime !== eventTime) {
      world.fail(
        `episode ${id} of ${site.name} is ${JSON.stringify(row)} instead of ${phase} with ${readings} readings`,
      );
    }
    stored.delete(id);
  }
  for (const id of stored.keys()) world.fail(`episode ${id} of ${site.name} was never published`);
}

/** What the store holds after the same records came once, in order, to a processor that nothing happens to. */
async function foldUndisturbed(
  world: World,
  sites: readonly Site[],
  published: PublishedRecords,
): Promise<Record<string, string>> {
  const store = new MemoryStore();
  const { signal } = new AbortController();
  await store.connect(signal);
  const partition = new Partition({
    number: 0,
    windows: WINDOWS,
    sequence: sequencerLimits(),
    newSeries: '0'.repeat(16),
    observer: deaf,
    deadLetters: { addBatch: ({ reason }) => world.fail(`the undisturbed run refuses a batch: ${reason}`) },
    from: undefined,
  });
  const nothing = (): void => undefined;
  const corrector = new LateCorrector({
    target: partition,
    store,
    logger: { debug: nothing, info: nothing, warn: nothing, error: nothing },
    ready: () => true,
  });
  const flush = async (): Promise<void> => {
    partition.outbox.saved(partition.capture().ordinal);
    for (let rows = partition.outbox.take(1_000, 0); rows.length > 0; rows = partition.outbox.take(1_000, 0)) {
      await store.write(rows, signal);
      partition.settle();
    }
  };
  let sequence = 0;
  for (const { name } of sites) {
    for (const lane of LANES) {
      for (const { epoch, record, batch } of published.lane(name, lane)) {
        const data = encodeBatch({ ...batch, epoch, records: [record] });
        partition.apply(
          { subject: ingestSubject(batch), data, sequence: ++sequence, storedAt: epochMs(BASE) },
          epochMs(BASE),
        );
      }
    }
    await flush();
    await corrector.round(signal);
    await flush();
  }
  return store.contents('window', 'anomaly');
}
