import type { Reading, SensorName } from '@floorwatch/contracts';

import { limits } from '../limits.ts';
import { parseEventTime } from './event-time.ts';
import { type Codec, decodePayload } from './payload-codec.ts';
import type { RawMessage } from './raw-message.ts';
import type { OrReject } from './reject.ts';
import { TopicTemplate } from './topic-template.ts';

/** One way in which devices publish. */
export interface TopicConfig {
  /** See {@link TopicTemplate}. */
  readonly topic: string;
  readonly codec: Codec;
}

/** A reading, and whether its time is the device's own. Otherwise it is the gateway's, and says nothing of the reading. */
export interface DecodedReading {
  readonly reading: Reading;
  readonly timed: boolean;
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** What a topic means, so that it is taken apart once and not with every message. */
interface Route {
  readonly name: SensorName;
  readonly codec: Codec;
}

/** Turns messages into readings, or says why one is none. Never throws. */
export class ReadingDecoder {
  /** Subscriptions that cover every template. */
  readonly filters: readonly string[];
  readonly #templates: readonly { readonly template: TopicTemplate; readonly codec: Codec }[];
  /** Topics that matched before; at most `limits.topicsRememberedMax`. Others could be of any number and length. */
  readonly #routes = new Map<string, Route>();

  /** @param topics tried in this order; the first that matches decides. */
  constructor(topics: readonly TopicConfig[]) {
    this.#templates = topics.map(({ topic, codec }) => ({ template: new TopicTemplate(topic), codec }));
    this.filters = [...new Set(this.#templates.map(({ template }) => template.filter))];
  }

  /** Reads one message. Whether its time can be right is not judged. */
  decode(message: RawMessage): OrReject<DecodedReading> {
    const route = this.#route(message.topic);
    if (typeof route === 'string') return route;
    if (message.payload.length > limits.payloadBytesMax) return 'payload-too-large';
    const payload = decodePayload(route.codec, message.payload);
    if (typeof payload === 'string') return payload;
    const timed = payload.ts !== undefined;
    const eventTime = timed ? parseEventTime(payload.ts) : message.receivedAt;
    if (typeof eventTime === 'string') return eventTime;
    const { device, metric } = route.name;
    const { value, quality, unit, seq } = payload;
    const reading: Mutable<Reading> = { device, metric, eventTime, value, quality };
    if (unit !== undefined) reading.unit = unit;
    if (seq !== undefined) reading.seq = seq;
    return { reading, timed };
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
    for (const { template, codec } of this.#templates) {
      const name = template.match(topic);
      if (name !== 'topic-unknown') return typeof name === 'string' ? name : { name, codec };
    }
    return 'topic-unknown';
  }
}
