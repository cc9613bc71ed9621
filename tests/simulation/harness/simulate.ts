import { judge, PublishedRecords } from './oracle.ts';
import { Processor } from './processor.ts';
import { Site } from './site.ts';
import { StoreModel } from './store-model.ts';
import { StreamModel } from './stream-model.ts';
import { type Fault, World } from './world.ts';

/** How long things go wrong and devices make readings, at least and at most. */
const STORM_MS = [20_000, 60_000] as const;
/** By then everything must be in the store, in virtual time after the storm. */
const PATIENCE_MS = 15 * 60_000;
/** The watermark follows the clock from a minute after the start on, and the largest window must be sealed by it. */
const QUIET_MS = 80_000;
const LOOK_MS = 5_000;

/** What became of one seed. */
export interface Outcome {
  readonly seed: number;
  readonly faults: readonly Fault[];
  /** Empty: everything held. */
  readonly failures: readonly string[];
  readonly history: readonly string[];
  /** Instants of virtual time at which something happened. */
  readonly events: number;
}

/** Runs one seed: a storm of faults, then calm until everything is in the store, then the judgement. */
export async function simulate(seed: number, faults?: readonly Fault[]): Promise<Outcome> {
  const world = new World(seed, faults);
  world.time.install();
  try {
    await run(world);
  } finally {
    world.time.uninstall();
  }
  const { failures, history, time } = world;
  return { seed, faults: [...world.faults], failures, history, events: time.events };
}

async function run(world: World): Promise<void> {
  const { time } = world;
  const stream = new StreamModel(world);
  const store = new StoreModel(world);
  await store.open();
  const published = new PublishedRecords(world, (name) => sites.find((site) => site.name === name)?.isDoubled ?? false);
  stream.onStored = (subject, data) => published.add(subject, data);
  const processor = new Processor(world, stream, store);
  const sites = Array.from(
    { length: world.pick([1, 1, 1, 2, 2, 3]) },
    (_, i) => new Site(world, stream, `gw-${i + 1}`),
  );
  const stormMs = world.int(...STORM_MS);
  processor.start();
  for (const site of sites) site.begin(stormMs);
  plan(world, stormMs, { stream, store, processor, sites });
  const broken = (): boolean => world.failures.length > 0;
  await time.run(stormMs, broken);
  world.calm = true;
  store.down = false;
  time.wallOffset = 0;
  for (const site of sites) site.calm();
  world.note('nothing goes wrong any more');
  let ended = false;
  let maker: Processor['reprocessor'];
  let quietFrom = stormMs + QUIET_MS;
  const waitsFor = (): readonly string[] => [
    ...sites.flatMap((site) => site.waitsFor),
    ...(processor.idle ? [] : [processor.waitsFor]),
  ];
  while (!broken()) {
    await time.run(time.now + LOOK_MS, broken);
    const since = time.now - stormMs;
    // What came last leaves the gateway with the next tick, and must be heard.
    const isLeft = stream.down || !processor.hasBegun || sites.some((site) => !site.allTaken);
    if (isLeft) quietFrom = time.now + QUIET_MS;
    if (!ended && time.now > quietFrom && processor.partition?.windows.openWindows === 0) {
      for (const site of sites) site.end();
      ended = true;
    }
    if (ended && waitsFor().length === 0) {
      // A processor that was killed over it is asked once more.
      const isMadeAgain = maker !== undefined && maker === processor.reprocessor;
      if (!world.faults.has('reprocess') || isMadeAgain) break;
      if (store.deleted.size === 0) store.deleteSome();
      maker = processor.reprocess();
    }
    if (since > PATIENCE_MS) world.fail(`it does not come to an end: ${waitsFor().join('; ') || 'windows stay open'}`);
  }
  if (!broken()) await judge(world, sites, store, published);
  if (!broken()) checkAlarms(world, processor, sites, published);
  for (const part of [processor, ...sites]) part.kill();
  // What they still wanted to do must not happen in the time of the machine.
  await time.run(time.now, () => false);
}

function checkAlarms(
  world: World,
  { partition }: Processor,
  sites: readonly Site[],
  published: PublishedRecords,
): void {
  const alarms = partition?.alarms.all() ?? [];
  // Of what the stream lost nobody can know.
  const isAllHeard = !world.mayLoseMessages;
  for (const { name, isDoubled } of sites) {
    const identity = alarms.filter(({ gateway, cause }) => gateway === name && cause !== 'trimmed');
    if (isAllHeard && published.hasTwins(name) && identity.length === 0) {
      world.fail(`${name}: two gateways have sent under its name, and there is no alarm`);
    }
    if (!isDoubled && identity.length > 0)
      world.fail(`${name}: an alarm of its identity without reason: ${identity[0]!.cause}`);
  }
}

interface Parts {
  readonly stream: StreamModel;
  readonly store: StoreModel;
  readonly processor: Processor;
  readonly sites: readonly Site[];
}

/** Decides when what goes wrong. */
function plan(world: World, stormMs: number, { stream, store, processor, sites }: Parts): void {
  const some = (fault: Fault, most: number, act: () => void): void => {
    if (!world.faults.has(fault)) return;
    for (let left = world.int(1, most); left > 0; left--) {
      world.time.after(world.int(2_000, stormMs), () => world.calm || act());
    }
  };
  const site = (): Site => world.pick(sites);
  some('gateway-crash', 6, () => site().crashSoon('kill'));
  some('power-cut', 4, () => site().crashSoon('power cut'));
  some('processor-crash', 6, () => processor.crashSoon(false));
  some('damaged-checkpoint', 3, () => processor.crashSoon(true));
  some('stream-loss', 3, () => stream.loseTail());
  some('stream-trimmed', 3, () => stream.trim());
  some('stream-recreated', 2, () => stream.recreate());
  some('no-network', 2, () => stream.goDown(world.int(1_000, 45_000)));
  some('failing-store', 2, () => {
    world.note('the store can not be reached');
    store.down = true;
    world.time.after(world.int(1_000, 45_000), () => (store.down = false));
  });
  some('late-devices', 3, () => site().holdBack());
  some('clock-jump', 3, () =>
    world.chance(0.3) ? (world.time.wallOffset = world.int(-600_000, 600_000)) : site().jumpClock(),
  );
  some('reprocess', 2, () => processor.reprocess());
  some('clean-stop', 3, () => (world.chance(0.5) ? processor.stopSoon() : site().stopSoon()));
  if (world.faults.has('restored-image')) {
    const one = site();
    const at = world.int(5_000, stormMs / 2);
    world.time.after(at, () => one.takeImage());
    world.time.after(at + world.int(2_000, stormMs / 2), () => world.calm || one.restoreImage());
  }
  some('cloned-card', 1, () => site().clone());
  // A lane must drop while nobody hears it, tell of that, and drop more before it knows that it was heard.
  const outage = (): void => stream.goDown(world.int(15_000, 60_000));
  some('small-disk', 2, outage);
  stream.onGap = (gateway) => {
    if (!world.strikes('small-disk', 0.4)) return;
    outage();
    world.time.after(world.int(10_000, 40_000), () => sites.find(({ name }) => name === gateway)?.crashSoon('kill'));
  };
}
