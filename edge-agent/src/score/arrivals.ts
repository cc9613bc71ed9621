import type { EpochMs, Reading, SensorName } from '@floorwatch/contracts';

import type { ReadingInHand } from '../stats/reading-in-hand.ts';
import type { SensorRows } from '../stats/sensor-rows.ts';
import type { SensorTable } from '../stats/sensor-table.ts';
import type { ClockTick, Watermark } from '../stats/watermark.ts';
import type { EpisodeCollector, Judges } from './judges.ts';
import { ListeningTime, type SavedListening } from './listening-time.ts';
import type { SilentConfig } from './silent-config.ts';

/** How a reading came to the gateway. */
export interface Arrival {
  /** By the gateway's clock. */
  readonly receivedAt: EpochMs;
  /** Whether it was released from quarantine, and so did not come by itself. */
  readonly isReleased?: boolean;
}

/** What of the engine hears of arrivals, or says where time stands. */
export interface ArrivalParts {
  readonly judges: Judges;
  readonly sensors: SensorTable;
  readonly rows: SensorRows;
  readonly watermark: Watermark;
  readonly hand: ReadingInHand;
  /** Gives the sensor a slot if it has none. */
  readonly slotOf: (sensor: SensorName) => number;
}

/** Notes when something came of which sensor, so that those of which nothing comes are missed. */
export class Arrivals {
  readonly #parts: ArrivalParts;
  readonly #listening = new ListeningTime();
  /** Whether event times stand for when readings came; see `SilentConfig`. */
  readonly #isRecording: boolean;
  readonly #expected: SilentConfig['expected'];
  /** Whether all that is expected has a slot. */
  #expecting = false;

  constructor({ by, expected }: SilentConfig, parts: ArrivalParts) {
    this.#isRecording = by === 'event-times';
    this.#expected = expected;
    this.#parts = parts;
  }

  /** The reading in hand, which is in `slot`, has come. @param arrival how; absent in recordings. */
  reading(slot: number, reading: Reading, arrival: Arrival | undefined, out: EpisodeCollector): void {
    const { sensors, hand } = this.#parts;
    const { times, lags } = hand;
    lags[0] = NaN;
    if (this.#isRecording) {
      if (reading.eventTime >= sensors.newestAt(slot)) this.#tell(slot, reading, times, reading.eventTime, out);
      return;
    }
    if (arrival === undefined || !this.#listening.arrive(arrival.receivedAt) || arrival.isReleased === true) return;
    if (this.#listening.isSynchronised) lags[0] = arrival.receivedAt - reading.eventTime;
    lags[1] = this.#listening.now[0]!;
    this.#tell(slot, reading, this.#listening.now, arrival.receivedAt, out);
  }

  /** A reading in another unit is a sign of life of the sensor that it is kept apart from, too. */
  #tell(slot: number, { device, apartFrom }: Reading, times: Float64Array, at: EpochMs, out: EpisodeCollector): void {
    const { judges, sensors, rows, hand } = this.#parts;
    judges.hear(slot, times, hand.lags, at, out);
    const origin = apartFrom === undefined ? undefined : sensors.find(device, apartFrom);
    if (origin === undefined) return;
    rows.touch(origin);
    judges.hear(origin, times, hand.lags, at, out);
  }

  /** A message of the sensor came at `receivedAt` of which nothing was accepted. One of a sensor that is not known changes nothing. */
  message({ device, metric }: SensorName, receivedAt: EpochMs, out: EpisodeCollector): void {
    if (this.#isRecording || !this.#listening.arrive(receivedAt)) return;
    const { judges, sensors, rows, hand } = this.#parts;
    const slot = sensors.find(device, metric);
    if (slot === undefined) return;
    rows.touch(slot);
    hand.lags[0] = NaN;
    judges.hear(slot, this.#listening.now, hand.lags, receivedAt, out);
  }

  /** The agent has started at `at`. */
  start(at: EpochMs): void {
    this.#listening.start(at);
    this.#away();
  }

  /** To be called with every tick, after the watermark has heard of it. */
  tick(clock: ClockTick, out: EpisodeCollector): void {
    const returnMs = this.#listening.tick(clock);
    if (clock.deaf === true) {
      this.#away();
      return;
    }
    const { silence } = this.#parts.judges;
    if (returnMs !== undefined && !this.#isRecording) silence?.back(this.#listening.now[0]!, returnMs);
    this.#look(out);
  }

  /** The last look at a recording. A gateway that stops does not know what its sensors do then. */
  end(out: EpisodeCollector): void {
    if (this.#isRecording) this.#look(out);
  }

  #away(): void {
    const { judges, watermark } = this.#parts;
    judges.silence?.away(this.#isRecording ? watermark.ofReadings() : this.#listening.now[0]);
  }

  /** Looks who is silent. */
  #look(out: EpisodeCollector): void {
    const { judges, sensors, watermark } = this.#parts;
    const at = this.#isRecording ? watermark.ofReadings() : this.#listening.wall;
    if (at === undefined) return;
    const times = this.#isRecording ? Float64Array.of(at) : this.#listening.now;
    if (!this.#expecting) this.#expect(times[0]!);
    judges.listen(sensors.size, times, at, out);
  }

  /** From `time` on, the sensors that are expected can be missed. */
  #expect(time: number): void {
    this.#expecting = true;
    const { judges, slotOf } = this.#parts;
    const slots = this.#expected.flatMap(({ device, metrics }) => metrics.map((metric) => slotOf({ device, metric })));
    judges.silence?.expect(slots, time);
  }

  snapshot(): SavedListening {
    return this.#listening.snapshot();
  }

  restore(saved: SavedListening): void {
    this.#listening.restore(saved);
  }
}
