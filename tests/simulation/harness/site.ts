import { type EpochMs, epochMs } from '@floorwatch/contracts';

import type { RawMessage } from '../../../edge-agent/src/ingest/raw-message.ts';
import type { MemoryFileSystem } from '../../../segment-log/test/memory-file-system.ts';
import { GatewayLife, IN_FLIGHT, LIMIT } from './gateway.ts';
import { SimDisk } from './sim-disk.ts';
import type { StreamModel } from './stream-model.ts';
import { BASE } from './virtual-time.ts';
import type { World } from './world.ts';

const WEEK_MS = 7 * 24 * 3_600_000;

/** A reading that a device has made, and when the gateway said that it has it. */
export interface MadeReading {
  readonly device: string;
  readonly at: EpochMs;
  readonly value: number;
  readonly seq: number;
  ackedAt: number | undefined;
}

/** A device: repeats every reading until its gateway has acknowledged it. */
class Device {
  readonly name: string;
  readonly made: MadeReading[] = [];
  #unacked: MadeReading[] = [];
  /** Nothing is sent until then. */
  silentUntil = 0;
  #outstanding: object | undefined;

  constructor(name: string) {
    this.name = name;
  }

  make(at: number, value: number): void {
    const reading = { device: this.name, at: epochMs(at), value, seq: this.made.length + 1, ackedAt: undefined };
    this.made.push(reading);
    this.#unacked.push(reading);
  }

  get done(): boolean {
    return this.#unacked.length === 0;
  }

  /** The connection broke: what was not acknowledged goes again. */
  reconnect(): void {
    this.#outstanding = undefined;
  }

  send(world: World, life: GatewayLife, receivedAt: EpochMs): void {
    if (this.#outstanding !== undefined || this.done || world.time.now < this.silentUntil) return;
    const some = this.#unacked.slice(0, IN_FLIGHT);
    const sent = {};
    this.#outstanding = sent;
    const settled = (acked: boolean): void => {
      if (this.#outstanding !== sent) return;
      this.#outstanding = undefined;
      if (!acked || world.strikes('lost-messages', 0.05)) return;
      for (const reading of some) reading.ackedAt = world.time.now;
      this.#unacked = this.#unacked.filter(({ ackedAt }) => ackedAt === undefined);
    };
    life.deliver(
      some.map((reading) => messageOf(reading, receivedAt)),
      settled,
    );
  }
}

const messageOf = ({ device, at, value, seq }: MadeReading, receivedAt: EpochMs): RawMessage => ({
  topic: `sensors/${device}/level`,
  payload: Buffer.from(JSON.stringify({ value, ts: at, seq })),
  receivedAt,
  retained: false,
});

/** A gateway with its devices and its disk, and an agent on it now and then. */
export class Site {
  readonly name: string;
  readonly devices: readonly Device[];
  readonly #world: World;
  readonly #stream: StreamModel;
  readonly #disk: SimDisk;
  #life: GatewayLife | undefined;
  #clone: GatewayLife | undefined;
  #lives = 0;
  #clockOffset = 0;
  #image: { readonly files: MemoryFileSystem; readonly at: number } | undefined;
  /** Between the two, what was acknowledged may be lost with the disk. */
  restored: { readonly from: number; readonly to: number } | undefined;
  cloned = false;

  constructor(world: World, stream: StreamModel, name: string) {
    this.#world = world;
    this.#stream = stream;
    this.name = name;
    this.#disk = new SimDisk(world);
    this.devices = Array.from({ length: world.int(1, 2) }, (_, i) => new Device(`d${i + 1}`));
  }

  /** Its devices make readings until `until`, and are heard from now on. */
  begin(until: number): void {
    const world = this.#world;
    this.start();
    for (const device of this.devices) {
      const everyMs = world.int(2_000, 9_000);
      // Some devices have a line so slow that their windows are always sealed before they report.
      const lagMs =
        world.faults.has('late-devices') && world.chance(0.4) ? world.int(20_000, world.pick([45_000, 90_000])) : 0;
      if (world.faults.has('late-devices') && world.chance(0.3)) this.#comeBack(device, until);
      const make = (): void => {
        if (world.time.now > until) return;
        const value = world.chance(0.06) ? LIMIT + world.int(1, 99) : world.int(-500, 500);
        device.make(BASE + Math.floor(world.time.now) - lagMs - world.int(0, 3_000), value);
        world.time.after(everyMs, make);
      };
      world.time.after(world.int(0, everyMs), make);
      const send = (): void => {
        if (this.#life?.isUp === true) device.send(world, this.#life, epochMs(this.#clock));
        if (!device.done || world.time.now <= until) world.time.after(1_500, send);
      };
      send();
    }
  }

  /** A device was away for a week, and tells what it has measured. */
  #comeBack(device: Device, until: number): void {
    const world = this.#world;
    const [from, stepMs] = [BASE - WEEK_MS + world.int(0, 60_000), world.int(100, 4_000)];
    world.time.after(world.int(1_000, until), () => {
      world.note(`${this.name}: ${device.name} tells what it measured a week ago`);
      for (let left = world.int(5, 40), at = from; left > 0; left--, at += stepMs)
        device.make(at, world.int(-500, 500));
    });
  }

  /** Whether there were two gateways of its name. */
  get isDoubled(): boolean {
    return this.cloned || this.restored !== undefined;
  }

  get #clock(): number {
    return BASE + Math.floor(this.#world.time.now) + this.#clockOffset;
  }

  start(): void {
    const world = this.#world;
    world.note(`${this.name} starts, for the ${++this.#lives}. time`);
    for (const device of this.devices) device.reconnect();
    this.#life = this.#newLife(this.#disk);
    this.#life.start();
  }

  #newLife(disk: SimDisk): GatewayLife {
    return new GatewayLife({
      world: this.#world,
      name: this.name,
      disk,
      stream: this.#stream,
      clock: () => this.#clock,
      // More ticks make more records.
      tickMs: this.#world.faults.has('small-disk') ? 2_000 : 10_000,
    });
  }

  /** The agent, or the power, goes at one of the next operations of its disk, and comes back some time later. */
  crashSoon(how: 'kill' | 'power cut'): void {
    const world = this.#world;
    const life = this.#life;
    life?.crashAfter(world.int(0, 60), () => {
      if (this.#life !== life) return;
      this.#end(life, how);
      world.time.after(world.int(100, 15_000), () => this.start());
    });
  }

  #end(life: GatewayLife, how: 'kill' | 'power cut'): void {
    this.#world.note(`${this.name}: ${how}`);
    life.kill();
    this.#life = undefined;
    if (how === 'kill') this.#disk.afterKill();
    else this.#disk.afterPowerCut();
  }

  stopSoon(): void {
    const life = this.#life;
    if (life?.isUp !== true) return;
    this.#world.note(`${this.name} is stopped`);
    void this.#stop(life);
  }

  async #stop(life: GatewayLife): Promise<void> {
    const world = this.#world;
    await life.stop();
    if (this.#life !== life) return;
    this.#disk.afterKill();
    this.#life = undefined;
    world.time.after(world.int(100, 10_000), () => this.start());
  }

  /** Somebody copies the card, and puts the copy back later. */
  takeImage(): void {
    this.#image = { files: this.#disk.copy(), at: this.#world.time.now };
    this.#world.note(`${this.name}: an image of its disk is taken`);
  }

  restoreImage(): void {
    if (this.#image === undefined || this.#life?.isUp !== true) return;
    this.#end(this.#life, 'kill');
    this.#disk.restore(this.#image.files);
    this.restored = { from: this.#image.at, to: this.#world.time.now };
    this.#world.note(`${this.name}: the image is put on its disk`);
    this.start();
  }

  /** A second gateway runs with a copy of the disk. */
  clone(): void {
    this.cloned = true;
    this.#clone = this.#newLife(new SimDisk(this.#world, this.#disk.copy()));
    this.#clone.start();
    this.#world.note(`${this.name}: a copy of it runs`);
  }

  jumpClock(): void {
    this.#clockOffset = this.#world.int(-300_000, 300_000);
    this.#world.note(`${this.name}: its clock is off by ${this.#clockOffset} ms`);
  }

  holdBack(): void {
    const device = this.#world.pick(this.devices);
    const ms = this.#world.int(20_000, 80_000);
    device.silentUntil = this.#world.time.now + ms;
    this.#world.note(`${this.name}: ${device.name} sends nothing for ${ms} ms`);
  }

  /** Nothing goes wrong any more: somebody takes the copy away, starts the gateway once more, and sets the clock. */
  calm(): void {
    this.#clockOffset = 0;
    this.#life?.crashAfter(Infinity, () => undefined);
    if (this.#clone === undefined) return;
    this.#clone.kill();
    this.#clone = undefined;
    if (this.#life === undefined) return;
    this.#end(this.#life, 'kill');
    this.start();
  }

  /** Whether every reading is acknowledged. */
  get allTaken(): boolean {
    return this.devices.every(({ done }) => done);
  }

  /** Nothing new is made any more. */
  end(): void {
    this.#life?.end();
  }

  kill(): void {
    this.#life?.kill();
    this.#clone?.kill();
  }

  get waitsFor(): readonly string[] {
    const devices = this.devices
      .filter(({ done }) => !done)
      .map(({ name }) => `${this.name}: ${name} is not acknowledged`);
    return [...devices, ...(this.#life?.waitsFor(this.isDoubled) ?? [`${this.name} is down`])];
  }
}
