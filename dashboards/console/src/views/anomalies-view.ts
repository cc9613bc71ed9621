import type { AnomalyRow, Severity } from '@floorwatch/contracts';

import { anomalySensorId, type AnomalyFilter, isOpen, matchesFilter, mergeAnomalies } from '../anomaly-list.ts';
import { h, place, setAttribute, setText } from '../dom.ts';
import { formatCount, formatDate } from '../format.ts';
import { AnomalyCard } from '../parts/anomaly-card.ts';
import { emptyState, explainError } from '../parts/notice.ts';
import { withQuery } from '../routes.ts';
import type { View, ViewContext } from '../view.ts';

const PAGE_ROWS = 50;
/** Episodes the page holds; older ones are found with a narrower filter. */
const ROWS_MAX = 1_000;

const CHOICES = {
  open: [
    { value: '', label: 'All' },
    { value: 'true', label: 'Open only' },
  ],
  severity: [
    { value: '', label: 'Any severity' },
    { value: 'critical', label: 'Critical' },
    { value: 'warning', label: 'Warning' },
  ],
} as const;

const ABOUT_SCORES =
  'Score: how improbable the worst reading was, in powers of ten: 6 is one in a million, and nothing scores above 300. ' +
  'Fixed limits say nothing of probability and score 10 to 30, the further passed the more.';

/** What was anomalous, what was expected instead, and why it fired; the latest first. */
export class AnomaliesPage implements View {
  readonly element: HTMLElement;
  readonly #context: ViewContext;
  readonly #list = h('div', { class: 'anomalies' });
  readonly #more = h(
    'button',
    { type: 'button', hidden: true, onclick: () => void this.#read(this.#next) },
    'Show older',
  );
  readonly #count = h('p', { class: 'shown', role: 'status' });
  readonly #buttons: { readonly name: keyof typeof CHOICES; readonly value: string; readonly button: HTMLElement }[] =
    [];
  #cards = new Map<string, AnomalyCard>();
  /** A card that takes the place of the one that had the focus. */
  #focusNext: AnomalyCard | undefined;
  readonly #days = new Map<string, HTMLElement>();
  #filter: AnomalyFilter;
  #rows: AnomalyRow[] = [];
  #next: string | null = null;
  #state: 'loading' | 'ready' | { readonly failed: unknown } = 'loading';
  /** Answers to an earlier filter are thrown away. */
  #asked = 0;

  constructor(context: ViewContext, query: URLSearchParams) {
    this.#context = context;
    this.#filter = { severity: severityOf(query.get('severity')), openOnly: query.get('open') === 'true' };
    this.element = h(
      'div',
      { class: 'anomalies-page' },
      h('h1', { tabindex: -1 }, 'Anomalies'),
      h('div', { class: 'toolbar' }, this.#choice('open', 'Show'), this.#choice('severity', 'Severity'), this.#count),
      this.#list,
      h('div', { class: 'more' }, this.#more),
      h('p', { class: 'note' }, ABOUT_SCORES),
    );
    this.#draw();
  }

  title(): string {
    return 'Anomalies';
  }

  watches(): readonly string[] {
    return [];
  }

  refresh(): void {
    void this.#read(null);
  }

  sensors(): void {}

  anomaly(row: AnomalyRow): void {
    const known = this.#rows.some(({ id }) => id === row.id);
    if (!known && !matchesFilter(row, this.#filter)) return;
    this.#rows = mergeAnomalies(this.#rows, [row], ROWS_MAX);
    this.#draw();
  }

  rollups(): void {}

  tick(): void {
    for (const card of this.#cards.values()) card.tick(this.#context.now(), this.#context.floor.get(card.sensorId));
  }

  recolour(): void {}

  destroy(): void {
    this.#asked += 1;
  }

  #choice(name: keyof typeof CHOICES, label: string): HTMLElement {
    const buttons = CHOICES[name].map(({ value, label: text }) => {
      const button = h('button', { type: 'button', onclick: () => this.#choose(name, value) }, text);
      this.#buttons.push({ name, value, button });
      return button;
    });
    return h('div', { class: 'segments', role: 'group', 'aria-label': label }, ...buttons);
  }

  #choose(name: keyof typeof CHOICES, value: string): void {
    this.#filter =
      name === 'open'
        ? { ...this.#filter, openOnly: value === 'true' }
        : { ...this.#filter, severity: severityOf(value) };
    const query = new URLSearchParams();
    if (this.#filter.openOnly) query.set('open', 'true');
    if (this.#filter.severity !== undefined) query.set('severity', this.#filter.severity);
    history.replaceState(null, '', withQuery('#/anomalies', query));
    this.#rows = [];
    this.#state = 'loading';
    this.#draw();
    void this.#read(null);
  }

  async #read(after: string | null): Promise<void> {
    this.#asked += 1;
    const asked = this.#asked;
    const { severity, openOnly } = this.#filter;
    try {
      const page = await this.#context.api.anomalies({
        severity,
        open: openOnly ? 'true' : undefined,
        limit: PAGE_ROWS,
        after: after ?? undefined,
      });
      if (asked !== this.#asked) return;
      const live = this.#context.openAnomalies().filter((row) => matchesFilter(row, this.#filter));
      this.#rows = mergeAnomalies([...page.items], [...this.#rows, ...live], ROWS_MAX);
      this.#next = this.#rows.length < ROWS_MAX ? page.next : null;
      this.#state = 'ready';
    } catch (error) {
      if (asked !== this.#asked) return;
      this.#state = { failed: error };
    }
    this.#draw();
  }

  #draw(): void {
    for (const { name, value, button } of this.#buttons) {
      const chosen = name === 'open' ? (this.#filter.openOnly ? 'true' : '') : (this.#filter.severity ?? '');
      setAttribute(button, 'aria-pressed', String(chosen === value));
    }
    // One that closed while it was looked at stays until the list is read again, so that it does not vanish under the reader.
    const rows = this.#rows;
    const open = rows.filter(isOpen).length;
    const counted = `${formatCount(rows.length)}${this.#next === null ? '' : '+'}`;
    setText(this.#count, this.#state === 'ready' ? `${counted} shown, ${formatCount(open)} open` : '');
    this.#more.hidden = this.#next === null;
    if (rows.length === 0) this.#drawNothing();
    else this.#drawRows(rows);
  }

  #drawNothing(): void {
    this.#cards.clear();
    if (this.#state === 'loading') this.#list.replaceChildren(h('p', { class: 'loading' }, 'Reading anomalies…'));
    else if (this.#state === 'ready') {
      const filtered = this.#filter.openOnly || this.#filter.severity !== undefined;
      const title = filtered ? 'No anomaly matches' : 'No anomaly so far';
      const text = filtered
        ? 'Nothing that is kept fits these choices.'
        : 'Nothing anomalous is among what is stored. An anomaly is listed here with what was expected and why it was raised.';
      this.#list.replaceChildren(emptyState(title, h('p', {}, text)));
    } else {
      const again = h('button', { type: 'button', onclick: () => this.refresh() }, 'Try again');
      const text = h('p', {}, explainError(this.#state.failed));
      this.#list.replaceChildren(emptyState('The anomalies cannot be read now', text, again));
    }
  }

  #drawRows(rows: readonly AnomalyRow[]): void {
    const now = this.#context.now();
    const children: HTMLElement[] = [];
    const cards = new Map<string, AnomalyCard>();
    let day = '';
    for (const row of rows) {
      const date = formatDate(row.openedAt);
      if (date !== day) {
        day = date;
        children.push(this.#heading(date, formatDate(now)));
      }
      const known = this.#cards.get(row.id);
      const sensor = this.#context.floor.get(anomalySensorId(row));
      const card = known?.update(row, now, sensor) === true ? known : new AnomalyCard(row, now, 'h3', sensor);
      if (card !== known && known?.element.contains(document.activeElement) === true) this.#focusNext = card;
      cards.set(row.id, card);
      children.push(card.element);
    }
    this.#cards = cards;
    place(this.#list, children);
    this.#focusNext?.element.querySelector('a')?.focus({ preventScroll: true });
    this.#focusNext = undefined;
  }

  #heading(date: string, today: string): HTMLElement {
    let heading = this.#days.get(date);
    if (heading === undefined) {
      heading = h('h2', { class: 'day' });
      this.#days.set(date, heading);
    }
    setText(heading, date === today ? `Today, ${date}` : date);
    return heading;
  }
}

function severityOf(text: string | null): Severity | undefined {
  return text === 'critical' || text === 'warning' ? text : undefined;
}
