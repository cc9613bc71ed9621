import { isName, type Reading, type SensorName } from '@floorwatch/contracts';

import { limits } from '../limits.ts';
import { parseEventTime } from './event-time.ts';
import { type Codec, decodePayload } from './payload-codec.ts';
import type { Payload } from './payload-object.ts';
import type { ManyOptions } from './payload-parts.ts';
import type { RawMessage } from './raw-message.ts';
import type { OrReject } from './reject.ts';
import { TopicTemplate, withoutCovered } from './topic-template.ts';
import type { UnitNames } from './unit-names.ts';

/** One way in which devices publish. */
export interface TopicConfig {
  /** See {@link TopicTemplate}. */
  readonly topic: string;
  readonly codec: Codec;
  /** Fields of a `metrics` payload that are no metrics. */
  readonly ignore?: readonly string[];
}

/** A reading, and whether its time is the device's own. Otherwise it is the gateway's, and says nothing of the reading. */
export interface DecodedReading {
  readonly reading: Reading;
  readonly timed: boolean;
}

/** What a message with several readings holds: at least one part. */
export interface DecodedParts {
  readonly parts: readonly {
    /** Where in the payload it stands, for people. */
    readonly at: string;
    readonly decoded: OrReject<DecodedReading>;
  }[];
  /** So many of them are of one sensor at most. */
  readonly perSensor: number;
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** What a topic means, so that it is taken apart once and not with every message. */
interface Route extends Way {
  /** The metric is empty if the payload names it. */
  readonly name: SensorName;
}

/** How the payloads of a template are read. */
interface Way {
  readonly codec: Codec;
  readonly many: ManyOptions;
}

/** Turns messages into readings, or says why one is none. Never throws. */
export class ReadingDecoder {
  /** Subscriptions that cover every template, none of them covered by another. */
  readonly filters: readonly string[];
  readonly #templates: readonly { readonly template: TopicTemplate; readonly way: Way }[];
  readonly #units: UnitNames;
  /** Topics that matched before; at most `limits.topicsRememberedMax`. Others could be of any number and length. */
  readonly #routes = new Map<string, Route>();

  /**
   * @param topics tried in this order; the first that matches decides.
   * @param readingsMax readings that one message may hold.
   * @param units what units are called in readings.
   */
  constructor(topics: readonly TopicConfig[], readingsMax: number, units: UnitNames) {
    this.#units = units;
    this.#templates = topics.map(({ topic, codec, ignore = [] }) => ({
      template: new TopicTemplate(topic),
      way: { codec, many: { readingsMax, ignore: new Set(ignore) } },
    }));
    this.filters = withoutCovered(this.#templates.map(({ template }) => template.filter));
  }

  /** Reads one message. Whether its times can be right is not judged. */
  decode(message: RawMessage): OrReject<DecodedReading> | OrReject<DecodedParts> {
    const route = this.#route(message.topic);
    if (typeof route === 'string') return route;
    if (message.payload.length > limits.payloadBytesMax) return 'payload-too-large';
    const payload = decodePayload(route.codec, message.payload, route.many);
    if (typeof payload === 'string') return payload;
    if (!('parts' in payload)) return this.#reading(route.name, payload, message);
    const parts = payload.parts.map(({ at, payload: part }) => ({
      at,
      decoded: typeof part === 'string' ? part : this.#reading(route.name, part, message),
    }));
    return { parts, perSensor: mostOfOneSensor(parts) };
  }

  /**
   * The sensor that a message names although it holds no reading; undefined: none.
   *
   * @param part where in the payload the reading would stand.
   */
  sensorOf(topic: string, part: string | undefined): SensorName | undefined {
    const route = this.#route(topic);
    if (typeof route === 'string') return undefined;
    const { device, metric } = route.name;
    if (metric !== '') return { device, metric };
    return part === undefined ? undefined : { device, metric: part.replace(/^\[\d+\]\.?/, '') };
  }

  #route(topic: string): OrReject<Route> {
    const known = this.#routes.get(topic);
    if (known !== undefined) return known;
    const route = this.#findRoute(topic);
    if (typeof route === 'string' || topic.length > limits.topicRememberedLengthMax) return route;
    if (this.#routes.size >= limits.topicsRememberedMax) this.#routes.clear();
    this.#routes.set(topic, route);
    return route;
  }

  #findRoute(topic: string): OrReject<Route> {
    for (const { template, way } of this.#templates) {
      const name = template.match(topic);
      if (name !== 'topic-unknown') return typeof name === 'string' ? name : { name, ...way };
    }
    return 'topic-unknown';
  }

  #reading(name: SensorName, payload: Payload, { receivedAt }: RawMessage): OrReject<DecodedReading> {
    const { value, quality, unit, seq } = payload;
    const timed = payload.ts !== undefined;
    const eventTime = timed ? parseEventTime(payload.ts) : receivedAt;
    if (typeof eventTime === 'string') return eventTime;
    const metric = name.metric === '' ? payload.metric : name.metric;
    if (metric === undefined) return 'metric-missing';
    if (metric !== name.metric && !isName(metric)) return 'name-invalid';
    const reading: Mutable<Reading> = { device: name.device, metric, eventTime, value, quality };
    if (unit !== undefined) reading.unit = this.#units.nameOf(unit);
    if (seq !== undefined) reading.seq = seq;
    return { reading, timed };
  }
}

/** How many of the readings are of one sensor at most. What is remembered of each of their sensors depends on it: no more than need be. */
function mostOfOneSensor(parts: DecodedParts['parts']): number {
  const counts = new Map<string, number>();
  let most = 0;
  for (const { decoded } of parts) {
    if (typeof decoded === 'string') continue;
    const { metric } = decoded.reading;
    const count = (counts.get(metric) ?? 0) + 1;
    counts.set(metric, count);
    most = Math.max(most, count);
  }
  return most;
}
