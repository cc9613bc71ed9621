import { epochMs, lastNumber, type LaneFloor } from '@floorwatch/contracts';

import { Sequencer, type SourceName, type SourceSnapshot } from '../../src/sequence/sequencer.ts';
import { BASE, GATEWAY, sequencerLimits } from '../support/floor.ts';
import type { ModelBatch } from '../support/model-lane.ts';

const SOURCE: SourceName = { ...GATEWAY, lane: 'telemetry' };
const AT = epochMs(BASE);

interface Saved {
  readonly sources: readonly SourceSnapshot[];
  readonly read: number;
  readonly generation: number;
  readonly applied: number;
  readonly alarms: number;
}

const NOTHING: Saved = { sources: [], read: 0, generation: 0, applied: 0, alarms: 0 };

/** The stream and a processor that reads it, with its two checkpoints. */
export class ModelProcessor {
  /** `undefined` where the stream lost a message. */
  stream: (ModelBatch | undefined)[] = [];
  #generation = 0;
  #sequencer = new Sequencer(sequencerLimits());
  #read = 0;
  #newest: Saved = NOTHING;
  #older: Saved = NOTHING;
  /** `epoch/number` of all that was applied, in order; a gap's numbers with `-` in front. */
  readonly applied: string[] = [];
  readonly alarms: string[] = [];

  get unread(): number {
    return this.stream.length - this.#read;
  }

  read(count: number): void {
    for (const batch of this.stream.slice(this.#read, this.#read + count)) {
      this.#read += 1;
      if (batch === undefined) continue;
      const { from, floor, alarms } = this.#sequencer.accept(SOURCE, batch.epoch, batch.records, AT);
      this.alarms.push(...alarms);
      for (const record of batch.records.slice(from)) {
        const sign = record.kind === 'gap' ? '-' : '';
        for (let number = Math.max(record.number, floor + 1); number <= lastNumber(record); number++) {
          this.applied.push(`${sign}${batch.epoch}/${number}`);
        }
      }
    }
  }

  /** The stream is made anew; what it held is gone. */
  loseStream(): void {
    this.#generation += 1;
    this.stream = [];
    this.#read = 0;
  }

  checkpoint(): void {
    this.#older = this.#newest;
    this.#newest = {
      sources: this.#sequencer.snapshot(),
      read: this.#read,
      generation: this.#generation,
      applied: this.applied.length,
      alarms: this.alarms.length,
    };
  }

  /** Starts from the newest checkpoint, from the one before it, or without any. */
  restart(from: 'newest' | 'previous' | 'none'): void {
    if (from === 'none') [this.#newest, this.#older] = [NOTHING, NOTHING];
    if (from === 'previous') this.#newest = this.#older;
    const { sources, read, generation, applied, alarms } = this.#newest;
    this.#sequencer = new Sequencer(sequencerLimits(), sources);
    this.#read = generation === this.#generation ? read : 0;
    this.applied.length = applied;
    this.alarms.length = alarms;
  }

  /** What gateways hear: of the older of the two checkpoints. */
  get floor(): LaneFloor {
    return new Sequencer(sequencerLimits(), this.#older.sources).floor(SOURCE);
  }

  get floorNow(): LaneFloor {
    return this.#sequencer.floor(SOURCE);
  }
}
