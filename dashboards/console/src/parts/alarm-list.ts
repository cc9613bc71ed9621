import { h, place } from '../dom.ts';
import type { AlarmWords } from '../gateway-words.ts';
import { stateIcon } from './state-icon.ts';

/** What gateways raise alarms about: what it means, and what to do. Hidden while there is none. */
export class AlarmList {
  readonly #list = h('ul', {});
  readonly element = h(
    'section',
    { class: 'gateway-alarms', 'aria-labelledby': 'gateway-alarms-title', hidden: true },
    h('h2', { id: 'gateway-alarms-title' }, 'Gateways to look after'),
    this.#list,
  );
  #shown = '';

  show(alarms: readonly AlarmWords[]): void {
    this.element.hidden = alarms.length === 0;
    const shown = JSON.stringify(alarms);
    if (shown === this.#shown) return;
    this.#shown = shown;
    place(this.#list, alarms.map(draw));
  }
}

const draw = ({ key, title, meaning, remedy, when }: AlarmWords): HTMLElement =>
  h(
    'li',
    { class: 'gateway-alarm', 'data-key': key },
    stateIcon('warning'),
    h(
      'div',
      {},
      h('h3', {}, title),
      h('p', {}, meaning),
      h('p', {}, h('strong', {}, 'What to do: '), remedy),
      h('p', { class: 'where' }, when),
    ),
  );
