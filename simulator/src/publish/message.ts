import type { EpochMs } from '@floorwatch/contracts';
import { StartError } from '@floorwatch/runtime';

import type { PublishedSensor } from '../sensor.ts';

/** `json`: an object with value, ts, unit and seq. `value`: the bare number; its event time is when the agent receives it. */
export const PAYLOADS = ['json', 'value'] as const;
export type Payload = (typeof PAYLOADS)[number];

/** One MQTT message. */
export interface Message {
  readonly topic: string;
  readonly payload: string;
}

/** Turns readings into messages, and numbers those of each sensor from 1 so that a receiver can tell a repeat from a new reading. */
export class MessageEncoder {
  readonly #topic: string;
  readonly #payload: Payload;
  readonly #sensors = new Map<PublishedSensor, { topic: string; unit: string; count: number }>();

  /**
   * @param topic a template that holds `{device}` and `{metric}`.
   * @throws StartError if the template holds wildcards or lacks one of the two.
   */
  constructor(topic: string, payload: Payload) {
    if (!topic.includes('{device}') || !topic.includes('{metric}') || /[+#\0]/.test(topic)) {
      throw new StartError(
        'usage',
        `--topic ${topic}: must hold {device} and {metric} and no wildcard, such as sensors/{device}/{metric}`,
      );
    }
    this.#topic = topic;
    this.#payload = payload;
  }

  /** @param otherUnit what the value is in, if not in the sensor's unit. */
  encode(sensor: PublishedSensor, eventTime: EpochMs, value: number, otherUnit?: string): Message {
    let known = this.#sensors.get(sensor);
    if (known === undefined) {
      const topic = this.#topic.replaceAll('{device}', () => sensor.device).replaceAll('{metric}', () => sensor.metric);
      known = { topic, unit: unitField(sensor.unit), count: 0 };
      this.#sensors.set(sensor, known);
    }
    known.count += 1;
    if (this.#payload === 'value') return { topic: known.topic, payload: String(value) };
    const unit = otherUnit === undefined ? known.unit : unitField(otherUnit);
    // Numbers print as JSON numbers, because values are finite; the sensor's own unit is escaped once.
    return { topic: known.topic, payload: `{"value":${value},"ts":${eventTime}${unit},"seq":${known.count}}` };
  }
}

const unitField = (unit: string | undefined): string => (unit === undefined ? '' : `,"unit":${JSON.stringify(unit)}`);
