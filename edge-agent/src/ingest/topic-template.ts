import { isName, type SensorName } from '@floorwatch/contracts';

import { limits } from '../limits.ts';
import type { OrReject } from './reject.ts';

/** One level of a template: a word that must stand there, a name to take, or anything. */
type Level = { readonly word: string } | 'device' | 'metric' | 'any';

/**
 * Where device and metric stand in a topic: `sensors/{device}/{metric}`. A level is a word, `{device}`, `{metric}`, or `+` for
 * anything. A topic matches if it has as many levels and every word stands where the template has it.
 */
export class TopicTemplate {
  /** The subscription that covers every matching topic: `sensors/+/+`. */
  readonly filter: string;
  readonly #levels: readonly Level[];

  /** @throws RangeError that says what is wrong about `text`; see {@link findWrongTemplate}. */
  constructor(text: string) {
    const wrong = findWrongTemplate(text);
    if (wrong !== undefined) throw new RangeError(wrong);
    this.#levels = text.split('/').map(parseLevel);
    this.filter = this.#levels.map((level) => (typeof level === 'object' ? level.word : '+')).join('/');
  }

  /** Whose reading the topic carries, or why it can't be said. */
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
    return isName(name.device) && isName(name.metric) ? name : 'name-invalid';
  }
}

/** What keeps `text` from being a template, as the end of a sentence that begins with its name; undefined if nothing does. */
export function findWrongTemplate(text: string): string | undefined {
  const levels = text.split('/');
  if (levels.length > limits.topicLevelsMax) return `must not have more than ${limits.topicLevelsMax} levels`;
  if (text.startsWith('$')) return 'must not begin with "$", which is for the broker’s own topics';
  for (const name of ['{device}', '{metric}']) {
    const times = levels.filter((level) => level === name).length;
    if (times !== 1) return `must hold ${name} once, as a level of its own`;
  }
  const odd = levels.find((level) => !['{device}', '{metric}', '+'].includes(level) && /[{}+#\p{Cc}]/u.test(level));
  return odd === undefined ? undefined : `must not hold "${odd}"; a level is a word, {device}, {metric} or +`;
}

function parseLevel(text: string): Level {
  if (text === '{device}') return 'device';
  if (text === '{metric}') return 'metric';
  return text === '+' ? 'any' : { word: text };
}
