import type { AnomalyRow, GatewayView, SensorState, SensorView } from '@floorwatch/contracts';

import { anomalySensorId } from '../anomaly-list.ts';
import { h, place, setAttribute, setText } from '../dom.ts';
import type { FloorFilter, GatewayGroup } from '../floor-model.ts';
import { formatCount } from '../format.ts';
import { describeAlarms, describeGateway, isSilent } from '../gateway-words.ts';
import { AlarmList } from '../parts/alarm-list.ts';
import { AnomalyCard } from '../parts/anomaly-card.ts';
import { appendRecent, DeviceCard, type Recent } from '../parts/device-card.ts';
import { emptyState } from '../parts/notice.ts';
import { nothingYet } from '../parts/nothing-yet.ts';
import { SPARKLINE_POINTS } from '../parts/sparkline.ts';
import { STATE_LABELS, stateIcon } from '../parts/state-icon.ts';
import { withQuery } from '../routes.ts';
import { sparklineBatch } from '../sparkline-batch.ts';
import type { View, ViewContext } from '../view.ts';

const STATES: readonly SensorState[] = ['critical', 'warning', 'unknown', 'normal'];
/** Open episodes shown above the floor; the others are one link away. */
const ATTENTION_MAX = 3;
/** How often the gateways' own reports are read again. */
const SITES_EVERY_S = 5;

interface GatewaySection {
  readonly element: HTMLElement;
  readonly note: HTMLElement;
  readonly grid: HTMLElement;
  readonly count: HTMLElement;
}

/** Every sensor at a glance: how many are in which state, what needs attention, and all of them by gateway and device. */
export class FloorPage implements View {
  readonly element: HTMLElement;
  readonly #context: ViewContext;
  readonly #tiles = new Map<SensorState | 'all', { button: HTMLButtonElement; count: HTMLElement }>();
  readonly #search = h('input', {
    type: 'search',
    id: 'search',
    placeholder: 'Find a device, metric or gateway',
    autocomplete: 'off',
    spellcheck: 'false',
    oninput: () => this.#filterBy({ search: this.#search.value }),
  });
  readonly #attentionTitle = h('h2', { id: 'attention-title' });
  readonly #attentionLink = h('a', { href: '#/anomalies?open=true' });
  readonly #attentionList = h('div', { class: 'cards' });
  readonly #attention = h(
    'section',
    { class: 'attention', 'aria-labelledby': 'attention-title', hidden: true },
    h('header', {}, this.#attentionTitle, this.#attentionLink),
    this.#attentionList,
  );
  readonly #alarms = new AlarmList();
  readonly #groups = h('div', { class: 'gateways' });
  readonly #shown = h('p', { class: 'shown', role: 'status' });
  readonly #cards = new Map<string, DeviceCard>();
  readonly #cardOfSensor = new Map<string, DeviceCard>();
  readonly #sections = new Map<string, GatewaySection>();
  readonly #recent = new Map<string, Recent>();
  readonly #missing = new Set<string>();
  readonly #watcher: IntersectionObserver;
  #filter: FloorFilter;
  #attentionCards: AnomalyCard[] = [];
  #gateways: readonly GatewayView[] = [];
  #drawn = -1;
  #queued = false;
  #asking = false;
  #seconds = 0;

  constructor(context: ViewContext, query: URLSearchParams) {
    this.#context = context;
    const state = STATES.find((one) => one === query.get('state'));
    this.#filter = { state, search: query.get('q') ?? '' };
    this.#search.value = this.#filter.search;
    this.element = h(
      'div',
      { class: 'floor' },
      h('h1', { tabindex: -1 }, 'Floor'),
      h('div', { class: 'tiles', role: 'group', 'aria-label': 'Show sensors by state' }, ...this.#makeTiles()),
      this.#attention,
      this.#alarms.element,
      h(
        'div',
        { class: 'toolbar', role: 'search' },
        h('label', { for: 'search', class: 'sr' }, 'Find sensors'),
        this.#search,
        this.#shown,
      ),
      this.#groups,
    );
    this.#watcher = new IntersectionObserver((entries) => this.#onNear(entries), { rootMargin: '600px' });
  }

  title(): string {
    return 'Floor';
  }

  watches(): readonly string[] {
    return [];
  }

  refresh(): void {
    this.#recent.clear();
    for (const card of this.#cards.values()) if (card.near) this.#wantRecent(card);
    void this.#readSites();
    this.#showAttention();
    this.#drawn = -1;
    this.#queueDraw();
  }

  sensors(views: readonly SensorView[]): void {
    for (const view of views) {
      const recent = this.#recent.get(view.id);
      if (recent !== undefined && view.last !== null) appendRecent(recent, view.lastAt, view.last);
      this.#cardOfSensor.get(view.id)?.show(view, recent);
    }
    this.#queueDraw();
  }

  anomaly(): void {
    this.#showAttention();
  }

  rollups(): void {}

  tick(): void {
    this.#seconds += 1;
    if (this.#seconds % SITES_EVERY_S === 0) void this.#readSites();
    this.#showGatewayNotes();
    for (const card of this.#attentionCards) {
      card.tick(this.#context.now(), this.#context.floor.get(card.sensorId));
    }
  }

  recolour(): void {}

  destroy(): void {
    this.#watcher.disconnect();
  }

  #makeTiles(): HTMLElement[] {
    return (['all', ...STATES] as const).map((state) => {
      const count = h('span', { class: 'count' }, '–');
      const button = h(
        'button',
        {
          type: 'button',
          class: `tile tile-${state}`,
          onclick: () => this.#filterBy({ state: state === 'all' || state === this.#filter.state ? undefined : state }),
        },
        state === 'all' ? null : stateIcon(state),
        h('span', { class: 'name' }, state === 'all' ? 'Sensors' : STATE_LABELS[state]),
        count,
      );
      this.#tiles.set(state, { button, count });
      return button;
    });
  }

  #filterBy(change: Partial<FloorFilter>): void {
    this.#filter = { ...this.#filter, ...change };
    const query = new URLSearchParams();
    if (this.#filter.state !== undefined) query.set('state', this.#filter.state);
    if (this.#filter.search !== '') query.set('q', this.#filter.search);
    history.replaceState(null, '', withQuery('#/floor', query));
    this.#drawn = -1;
    this.#queueDraw();
  }

  /** Draws with the next frame, however many changes come before it. */
  #queueDraw(): void {
    if (this.#queued) return;
    this.#queued = true;
    requestAnimationFrame(() => {
      this.#queued = false;
      this.#draw();
    });
  }

  #draw(): void {
    const { floor } = this.#context;
    if (this.#drawn === floor.revision && this.#drawn >= 0) return;
    this.#drawn = floor.revision;
    const counts = floor.counts();
    for (const [state, { button, count }] of this.#tiles) {
      const known = this.#context.loaded() || floor.size > 0;
      setText(count, known ? formatCount(state === 'all' ? floor.size : counts[state]) : '–');
      setAttribute(
        button,
        'aria-pressed',
        String(state === 'all' ? this.#filter.state === undefined : state === this.#filter.state),
      );
    }
    const groups = floor.groups(this.#filter);
    const found = groups.reduce((sum, { sensors }) => sum + sensors, 0);
    setText(this.#shown, found === floor.size ? '' : `${formatCount(found)} of ${formatCount(floor.size)} sensors`);
    if (found === 0) this.#drawNothing();
    else this.#drawGroups(groups);
  }

  #drawNothing(): void {
    this.#forget();
    const { floor } = this.#context;
    if (!this.#context.loaded()) this.#groups.replaceChildren(h('p', { class: 'loading' }, 'Reading the floor…'));
    else if (floor.size === 0) this.#groups.replaceChildren(nothingYet(this.#context.about()));
    else {
      const clear = h('button', { type: 'button', onclick: () => this.#clearFilter() }, 'Show all sensors');
      const state = this.#filter.state;
      const good = state !== undefined && state !== 'normal' && this.#filter.search === '';
      const title = good ? `No sensor is in the state “${STATE_LABELS[state].toLowerCase()}”` : 'No sensor matches';
      this.#groups.replaceChildren(emptyState(title, clear));
    }
  }

  #clearFilter(): void {
    this.#search.value = '';
    this.#filterBy({ state: undefined, search: '' });
    this.#search.focus();
  }

  #drawGroups(groups: readonly GatewayGroup[]): void {
    const sections: HTMLElement[] = [];
    const cards = new Set<string>();
    this.#cardOfSensor.clear();
    for (const group of groups) {
      const section = this.#section(group);
      setText(section.count, `${formatCount(group.sensors)} ${group.sensors === 1 ? 'sensor' : 'sensors'}`);
      const elements = group.devices.map((device) => {
        cards.add(device.key);
        let card = this.#cards.get(device.key);
        if (card === undefined) {
          card = new DeviceCard(device);
          this.#cards.set(device.key, card);
          this.#watcher.observe(card.element);
        } else card.regroup(device);
        if (card.near) this.#wantRecent(card);
        for (const view of device.sensors) {
          this.#cardOfSensor.set(view.id, card);
          card.show(view, this.#recent.get(view.id));
        }
        return card.element;
      });
      place(section.grid, elements);
      sections.push(section.element);
    }
    for (const [key, card] of this.#cards) {
      if (cards.has(key)) continue;
      this.#watcher.unobserve(card.element);
      this.#cards.delete(key);
    }
    place(this.#groups, sections);
    this.#showGatewayNotes();
  }

  #forget(): void {
    this.#watcher.disconnect();
    this.#cards.clear();
    this.#cardOfSensor.clear();
  }

  #section({ key, site, gateway }: GatewayGroup): GatewaySection {
    const known = this.#sections.get(key);
    if (known !== undefined) return known;
    const [note, count, grid] = [
      h('p', { class: 'note' }),
      h('span', { class: 'many' }),
      h('div', { class: 'devices' }),
    ];
    const heading = h('h2', {}, h('span', { class: 'site' }, `${site} / `), gateway);
    const element = h('section', { class: 'gateway' }, h('header', {}, heading, count, note), grid);
    const section = { element, note, grid, count };
    this.#sections.set(key, section);
    return section;
  }

  async #readSites(): Promise<void> {
    try {
      this.#gateways = (await this.#context.api.sites()).flatMap(({ gateways }) => gateways);
      this.#showGatewayNotes();
    } catch {
      // The banner tells when the processor is gone; the notes stay as they were.
    }
  }

  #showGatewayNotes(): void {
    const now = this.#context.now();
    const silentAfter = this.#context.about()?.silentAfterMs ?? Infinity;
    this.#alarms.show(describeAlarms(this.#gateways, now));
    for (const view of this.#gateways) {
      const section = this.#sections.get(`${view.site}/${view.gateway}`);
      if (section === undefined) continue;
      setText(section.note, describeGateway(view, now, silentAfter));
      section.note.classList.toggle('silent', isSilent(view, now, silentAfter));
    }
  }

  #onNear(entries: readonly IntersectionObserverEntry[]): void {
    for (const { target, isIntersecting } of entries) {
      const card = this.#cards.get((target as HTMLElement).dataset['key'] ?? '');
      if (card === undefined || card.element !== target) continue;
      card.setNear(isIntersecting);
      if (!isIntersecting) continue;
      for (const id of card.ids) {
        const view = this.#context.floor.get(id);
        if (view !== undefined) card.show(view, this.#recent.get(id));
      }
      this.#wantRecent(card);
    }
  }

  #wantRecent(card: DeviceCard): void {
    for (const id of card.ids) if (!this.#recent.has(id)) this.#missing.add(id);
    if (this.#missing.size > 0 && !this.#asking) void this.#readRecent();
  }

  /** Reads small charts for the rows near the screen, one request at a time. */
  async #readRecent(): Promise<void> {
    this.#asking = true;
    try {
      while (this.#missing.size > 0) {
        const ids = sparklineBatch(this.#missing);
        for (const { id, at, last } of await this.#context.api.sparklines(ids, SPARKLINE_POINTS)) {
          this.#recent.set(id, { at: [...at], last: [...last] });
          const view = this.#context.floor.get(id);
          if (view !== undefined) this.#cardOfSensor.get(id)?.show(view, this.#recent.get(id));
        }
        for (const id of ids) this.#missing.delete(id);
      }
    } catch {
      // Asked for again after the next connection.
      this.#missing.clear();
    } finally {
      this.#asking = false;
    }
  }

  #showAttention(): void {
    const open = [...this.#context.openAnomalies()].sort(bySeverity);
    const now = this.#context.now();
    this.#attentionCards = open.slice(0, ATTENTION_MAX).map((row) => {
      const sensor = this.#context.floor.get(anomalySensorId(row));
      const known = this.#attentionCards.find((card) => card.update(row, now, sensor));
      return known ?? new AnomalyCard(row, now, 'h3', sensor);
    });
    this.#attention.hidden = open.length === 0;
    const rest = open.length - this.#attentionCards.length;
    setText(this.#attentionTitle, open.length === 1 ? '1 open anomaly' : `${formatCount(open.length)} open anomalies`);
    setText(this.#attentionLink, rest > 0 ? `See all ${formatCount(open.length)}` : 'See anomalies');
    place(
      this.#attentionList,
      this.#attentionCards.map(({ element }) => element),
    );
  }
}

const bySeverity = (a: AnomalyRow, b: AnomalyRow): number =>
  Number(b.severity === 'critical') - Number(a.severity === 'critical') || b.openedAt - a.openedAt;
