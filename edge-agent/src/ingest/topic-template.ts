import { isName, type SensorName } from '@floorwatch/contracts';

import { limits } from '../limits.ts';
import type { OrReject } from './reject.ts';

/** One level of a template: a word that must stand there, a name to take, or anything. */
type Level = { readonly word: string } | 'device' | 'metric' | 'any';

/** Whether a topic names the metric: it must, it may, or the payload alone does. */
export type MetricInTopic = 'needed' | 'allowed' | 'forbidden';

/**
 * Where device and metric stand in a topic: `sensors/{device}/{metric}`. A level is a word, `{device}`, `{metric}`, or `+` for
 * anything; without `{metric}` the payload names it. A topic matches if it has as many levels and every word stands where the template has it.
 */
export class TopicTemplate {
  /** The subscription that covers every matching topic: `sensors/+/+`. */
  readonly filter: string;
  readonly #levels: readonly Level[];
  readonly #hasMetric: boolean;

  /** @throws RangeError that says what is wrong about `text`; see {@link findWrongTemplate}. */
  constructor(text: string) {
    const wrong = findWrongTemplate(text, 'allowed');
    if (wrong !== undefined) throw new RangeError(wrong);
    this.#levels = text.split('/').map(parseLevel);
    this.#hasMetric = this.#levels.includes('metric');
    this.filter = this.#levels.map((level) => (typeof level === 'object' ? level.word : '+')).join('/');
  }

  /** Whose reading the topic carries, or why it can't be said. The metric is empty if the template does not have it. */
  match(topic: string): OrReject<SensorName> {
    const words = topic.split('/', this.#levels.length + 1);
    if (words.length !== this.#levels.length) return 'topic-unknown';
    const name = { device: '', metric: '' };
    for (const [index, level] of this.#levels.entries()) {
      const word = words[index] ?? '';
      if (typeof level === 'object') {
        if (level.word !== word) return 'topic-unknown';
      } else if (level !== 'any') name[level] = word;
    }
    return isName(name.device) && (!this.#hasMetric || isName(name.metric)) ? name : 'name-invalid';
  }
}

/**
 * The filters that cover every topic of all, in their order: without those whose topics another one covers. Some brokers deliver a message once for
 * each subscription that it fits (MQTT 3.1.1, 3.3.5), and it would count as often.
 */
export function withoutCovered(filters: readonly string[]): string[] {
  const different = [...new Set(filters)];
  return different.filter((one) => !different.some((other) => other !== one && pairs(other, one, isCovered)));
}

/** Filters of which none covers another, and that have topics in common all the same: two and two. */
export function overlapsOf(filters: readonly string[]): [string, string][] {
  return filters.flatMap((one, index) =>
    filters
      .slice(index + 1)
      .flatMap((other): [string, string][] => (pairs(one, other, isShared) ? [[one, other]] : [])),
  );
}

type Levels = (level: string, other: string) => boolean;
const isCovered: Levels = (level, other) => level === '+' || level === other;
const isShared: Levels = (level, other) => isCovered(level, other) || other === '+';

/** Whether two filters have as many levels, and `holds` holds for each. */
function pairs(one: string, other: string, holds: Levels): boolean {
  const [levels, others] = [one.split('/'), other.split('/')];
  return levels.length === others.length && levels.every((level, index) => holds(level, others[index]!));
}

/** What keeps `text` from being a template, as the end of a sentence that begins with its name; undefined if nothing does. */
export function findWrongTemplate(text: string, metric: MetricInTopic = 'needed'): string | undefined {
  const levels = text.split('/');
  if (levels.length > limits.topicLevelsMax) return `must not have more than ${limits.topicLevelsMax} levels`;
  if (text.startsWith('$')) return 'must not begin with "$", which is for the broker’s own topics';
  const times = (name: string): number => levels.filter((level) => level === name).length;
  if (times('{device}') !== 1) return 'must hold {device} once, as a level of its own';
  const metrics = times('{metric}');
  if (metric === 'forbidden' && metrics > 0)
    return 'must not hold {metric}: with this codec the payload names the metrics';
  if (metrics > 1 || (metric === 'needed' && metrics === 0)) return 'must hold {metric} once, as a level of its own';
  const odd = levels.find((level) => !['{device}', '{metric}', '+'].includes(level) && /[{}+#\p{Cc}]/u.test(level));
  return odd === undefined ? undefined : `must not hold "${odd}"; a level is a word, {device}, {metric} or +`;
}

function parseLevel(text: string): Level {
  if (text === '{device}') return 'device';
  if (text === '{metric}') return 'metric';
  return text === '+' ? 'any' : { word: text };
}
