import type { AnomalyRow, LiveEvents, RollupPoint, SensorView } from '@floorwatch/contracts';

import { anomalySensorId, isOpen, lengthOf, mergeAnomalies } from '../anomaly-list.ts';
import { BANDS, type BandKind, type ChartData, chartData, type ChartPoint, mergePoints } from '../chart-data.ts';
import { type ChartStyle, describeChart, describePoint, describeReading } from '../chart-words.ts';
import { h, setAttribute, setText } from '../dom.ts';
import { formatCount, formatDuration, formatExpected, formatInstant, formatMeanSd, formatQuantity } from '../format.ts';
import { formatKind } from '../kind-words.ts';
import { emptyState, explainError } from '../parts/notice.ts';
import { SensorChart } from '../parts/sensor-chart.ts';
import { STATE_LABELS, stateIcon } from '../parts/state-icon.ts';
import { table, tableRow } from '../parts/table.ts';
import { sensorHash } from '../routes.ts';
import { chooseRange, type Range, type Resolution, resolutions } from '../sensor-ranges.ts';
import type { View, ViewContext } from '../view.ts';

/** Episodes of one sensor that the page holds. */
const ANOMALIES_MAX = 200;
/** Rows of the table that says the same as the chart. */
const TABLE_ROWS = 60;
/** Windows are read again this often: between two readings only the newest one can differ. */
const WINDOWS_EVERY_S = 15;
/** A live chart is never shorter. */
const LIVE_SPAN_MIN_MS = 60_000;
const WIDTHS = [2, 3, 4] as const;

/** One sensor: how it is, its chart with the band of what is normal, and its anomalies. */
export class SensorPage implements View {
  readonly element: HTMLElement;
  readonly #context: ViewContext;
  readonly #id: string;
  readonly #offered: readonly Resolution[];
  readonly #chart: SensorChart;
  readonly #badge = h('p', { class: 'state-badge' });
  readonly #reading = h('p', { class: 'reading' });
  readonly #readingNote = h('p', { class: 'note' });
  readonly #statistics = h('dl', { class: 'statistics' });
  readonly #controls = h('div', { class: 'toolbar' });
  readonly #readout = h('p', { class: 'readout' });
  readonly #spoken = h('p', { class: 'sr', 'aria-live': 'polite' });
  readonly #summary = h('p', { class: 'sr', id: 'chart-summary' });
  readonly #message = h('div', { class: 'chart-message', hidden: true });
  readonly #table = h('div', { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': 'The chart as a table' });
  readonly #details = h(
    'details',
    { ontoggle: () => this.#drawTable() },
    h('summary', {}, 'The chart as a table'),
    this.#table,
  );
  readonly #anomalies = h('div', { class: 'scroll' });
  #resolution: Resolution;
  #range: Range;
  /** Where the chart ends, in event time; undefined: at the newest reading. */
  #end: number | undefined;
  #band: BandKind = 'count';
  #width: (typeof WIDTHS)[number] = 3;
  #view: SensorView | undefined;
  #points: readonly ChartPoint[] = [];
  #data: ChartData | undefined;
  #rows: AnomalyRow[] = [];
  #failed: unknown;
  #read: 'loading' | 'ready' = 'loading';
  #asked = 0;
  #seconds = 0;

  constructor(context: ViewContext, id: string, query: URLSearchParams) {
    this.#context = context;
    this.#id = id;
    this.#view = context.floor.get(id);
    this.#offered = resolutions(context.about()?.windowSizes ?? ['1m', '15m', '1h']);
    ({ resolution: this.#resolution, range: this.#range } = chooseRange(this.#offered, query));
    this.#chart = new SensorChart((index, byKey) => this.#showCursor(index, byKey));
    setAttribute(this.#chart.element, 'aria-label', 'Chart; the left and right arrow keys move from point to point');
    setAttribute(this.#chart.element, 'aria-describedby', 'chart-summary');
    const [site = '', gateway = '', device = '', metric = ''] = id.split('/');
    this.element = h(
      'div',
      { class: 'sensor-page' },
      h(
        'nav',
        { class: 'crumbs', 'aria-label': 'Where this sensor is' },
        h('a', { href: '#/floor' }, 'Floor'),
        h('span', {}, `${site} / ${gateway}`),
        h('a', { href: `#/floor?${new URLSearchParams({ q: device })}` }, device),
      ),
      h(
        'header',
        { class: 'sensor-head' },
        h('div', {}, h('h1', { tabindex: -1 }, metric, h('span', { class: 'of' }, ` of ${device}`)), this.#badge),
        h('div', { class: 'now' }, this.#reading, this.#readingNote),
      ),
      h(
        'section',
        { class: 'panel', 'aria-label': 'Chart' },
        this.#controls,
        this.#legend(),
        this.#readout,
        h('div', { class: 'chart-frame' }, this.#chart.element, this.#message),
        this.#summary,
        this.#spoken,
        this.#details,
      ),
      h('section', { class: 'panel' }, h('h2', {}, 'Moving statistics'), this.#statistics),
      h('section', { class: 'panel' }, h('h2', {}, 'Anomalies of this sensor'), this.#anomalies),
    );
    this.#drawControls();
    this.#drawNow();
    this.#drawAnomalies();
  }

  title(): string {
    return this.#id.split('/').slice(2).join(' · ');
  }

  watches(): readonly string[] {
    return [this.#id];
  }

  refresh(): void {
    this.#view = this.#context.floor.get(this.#id) ?? this.#view;
    this.#drawNow();
    void this.#readPoints();
    void this.#readAnomalies();
  }

  sensors(views: readonly SensorView[]): void {
    const view = views.find(({ id }) => id === this.#id);
    if (view === undefined) return;
    this.#view = view;
    this.#drawNow();
  }

  anomaly(row: AnomalyRow): void {
    if (anomalySensorId(row) !== this.#id) return;
    this.#rows = mergeAnomalies(this.#rows, [row], ANOMALIES_MAX);
    this.#drawAnomalies();
    this.#drawChart();
  }

  rollups(rollups: LiveEvents['rollups']): void {
    if (this.#resolution.name !== 'live' || this.#read === 'loading') return;
    const newer = rollups.filter(({ id }) => id === this.#id).map(({ point }): RollupPoint => point);
    if (newer.length === 0) return;
    const newest = newer.reduce((at, { start }) => Math.max(at, start), this.#points.at(-1)?.start ?? 0);
    this.#points = mergePoints(this.#points, newer, newest - (this.#context.about()?.historyMs ?? 1_800_000));
    this.#drawChart();
  }

  tick(): void {
    this.#seconds += 1;
    if (this.#resolution.name !== 'live' && this.#end === undefined && this.#seconds % WINDOWS_EVERY_S === 0) {
      void this.#readPoints();
    }
    this.#drawNote();
  }

  recolour(): void {
    this.#chart.redraw();
  }

  destroy(): void {
    this.#asked += 1;
    this.#chart.destroy();
  }

  #choose(resolution: Resolution, range: Range | undefined, end: number | undefined): void {
    const query = new URLSearchParams({ size: resolution.name });
    if (range !== undefined) query.set('range', range.name);
    this.#resolution = resolution;
    this.#range = chooseRange(this.#offered, query).range;
    query.set('range', this.#range.name);
    history.replaceState(null, '', sensorHash(this.#id, query));
    this.#end = resolution.name === 'live' ? undefined : end;
    this.#points = [];
    this.#read = 'loading';
    this.#drawControls();
    this.#drawChart();
    void this.#readPoints();
  }

  /** Where the chart ends: a recording has times of its own, so its newest reading counts, not the clock. */
  #endAt(): number {
    const newest = Math.max(this.#view?.lastAt ?? 0, (this.#points.at(-1)?.start ?? 0) + this.#resolution.stepMs);
    return this.#end ?? (newest > 0 ? newest : this.#context.now());
  }

  /** Where the chart begins. In its first minutes a live chart shows what there is, instead of mostly nothing. */
  #startBefore(to: number): number {
    const from = to - this.#range.ms;
    const first = this.#resolution.name === 'live' ? this.#points[0]?.start : undefined;
    return first === undefined ? from : Math.max(from, Math.min(first, to - LIVE_SPAN_MIN_MS));
  }

  async #readPoints(): Promise<void> {
    this.#asked += 1;
    const asked = this.#asked;
    try {
      this.#view ??= await this.#context.api.sensor(this.#id);
      const to = this.#endAt();
      const points =
        this.#resolution.name === 'live'
          ? await this.#context.api.rollups(this.#id)
          : await this.#context.api.windows(
              this.#id,
              this.#resolution.name,
              Math.floor(to - this.#range.ms),
              Math.ceil(to + 1),
            );
      if (asked !== this.#asked) return;
      this.#points = points;
      this.#failed = undefined;
    } catch (error) {
      if (asked !== this.#asked) return;
      this.#failed = error;
    }
    this.#read = 'ready';
    this.#drawNow();
    this.#drawChart();
  }

  async #readAnomalies(): Promise<void> {
    try {
      const { items } = await this.#context.api.anomalies({ sensor: this.#id, limit: ANOMALIES_MAX });
      const live = this.#context.openAnomalies().filter((row) => anomalySensorId(row) === this.#id);
      this.#rows = mergeAnomalies([...items], [...this.#rows, ...live], ANOMALIES_MAX);
      this.#drawAnomalies();
      this.#drawChart();
    } catch (error) {
      if (this.#rows.length === 0) this.#anomalies.replaceChildren(h('p', { class: 'note' }, explainError(error)));
    }
  }

  #drawNow(): void {
    const view = this.#view;
    setText(this.#reading, view === undefined ? '–' : formatQuantity(view.last, view.unit));
    if (view !== undefined && this.#badge.dataset['state'] !== view.state) {
      this.#badge.dataset['state'] = view.state;
      this.#badge.replaceChildren(stateIcon(view.state), STATE_LABELS[view.state]);
    }
    const { moving } = view ?? {};
    this.#statistics.replaceChildren(
      ...(['count', 'time', 'ew'] as const).map((kind) => {
        const pair = formatMeanSd(moving?.[BANDS[kind].mean], moving?.[BANDS[kind].sd], view?.unit);
        const name = kind === 'ew' ? 'Exponentially weighted' : `Over the ${BANDS[kind].label}`;
        const spread = pair === undefined ? (view === undefined ? '' : 'too few readings yet') : `± ${pair[1]} (sd)`;
        return h('div', {}, h('dt', {}, name), h('dd', {}, pair?.[0] ?? '–'), h('dd', { class: 'sd' }, spread));
      }),
    );
    this.#drawNote();
  }

  #drawNote(): void {
    const view = this.#view;
    if (view === undefined) return setText(this.#readingNote, '');
    setText(this.#readingNote, describeReading(view, this.#context.now()));
  }

  #drawControls(): void {
    const band = h(
      'select',
      { id: 'band', onchange: () => this.#setBand(band.value as BandKind, this.#width) },
      ...Object.entries(BANDS).map(([kind, { label }]) => option(kind, label, kind === this.#band)),
    );
    const width = h(
      'select',
      { id: 'width', onchange: () => this.#setBand(this.#band, WIDTHS.find((k) => String(k) === width.value) ?? 3) },
      ...WIDTHS.map((k) => option(k, `± ${k} sd`, k === this.#width)),
    );
    const focused = document.activeElement?.textContent;
    const inside = this.#controls.contains(document.activeElement);
    const children = [
      segment(
        'Resolution',
        this.#offered.map((one) =>
          choice(one.label, one === this.#resolution, () => this.#choose(one, undefined, this.#end)),
        ),
      ),
      segment(
        'Range',
        this.#resolution.ranges.map((one) =>
          choice(one.label, one === this.#range, () => this.#choose(this.#resolution, one, this.#end)),
        ),
      ),
      this.#steps(),
      h(
        'span',
        { class: 'field' },
        h('label', { for: 'band' }, 'Band from'),
        band,
        h('label', { for: 'width', class: 'sr' }, 'Band width'),
        width,
      ),
    ];
    this.#controls.replaceChildren(...children.filter((child) => child !== null));
    if (inside) {
      const again = [...this.#controls.querySelectorAll('button')].find(({ textContent }) => textContent === focused);
      again?.focus();
    }
  }

  /** Back and forth in time, where the store has it. */
  #steps(): HTMLElement | null {
    if (this.#resolution.name === 'live') return null;
    const move = (by: number): void => this.#choose(this.#resolution, this.#range, this.#endAt() + by * this.#range.ms);
    const newest = (): void => this.#choose(this.#resolution, this.#range, undefined);
    const atEnd = this.#end === undefined;
    return h(
      'div',
      { class: 'segments', role: 'group', 'aria-label': 'Move in time' },
      h('button', { type: 'button', onclick: () => move(-1) }, 'Earlier'),
      h('button', { type: 'button', disabled: atEnd, onclick: () => move(1) }, 'Later'),
      h('button', { type: 'button', disabled: atEnd, onclick: newest }, 'Newest'),
    );
  }

  #setBand(band: BandKind, width: (typeof WIDTHS)[number]): void {
    this.#band = band;
    this.#width = width;
    this.#drawChart();
  }

  #legend(): HTMLElement {
    return h(
      'ul',
      { class: 'legend', 'aria-label': 'Legend' },
      legendLine('mean', 'Mean'),
      legendLine('moving', 'Moving mean'),
      legendLine('band', 'Normal band'),
      legendLine('range', 'Least to greatest'),
      legendSign('warning', 'Warning'),
      legendSign('critical', 'Critical anomaly'),
    );
  }

  #drawChart(): void {
    const { stepMs, label } = this.#resolution;
    const to = this.#endAt();
    const from = this.#startBefore(to);
    const points = this.#points.filter(({ start }) => start + stepMs > from && start < to);
    const data = chartData(points, stepMs, this.#band, this.#width);
    this.#data = data;
    const anomalies = this.#rows.filter((row) => row.openedAt < to && (isOpen(row) || row.eventTime >= from));
    this.#chart.show({ data, anomalies: [...anomalies].sort(criticalLast), from, to, unit: this.#view?.unit ?? null });
    this.#drawMessage(points);
    const now = this.#context.now();
    setText(this.#summary, describeChart(points, anomalies.length, { label, from, to, unit: this.#style().unit }, now));
    this.#showCursor(null, false);
    this.#drawTable();
  }

  #drawMessage(points: readonly ChartPoint[]): void {
    this.#message.hidden = points.length > 0;
    if (points.length > 0) return;
    if (this.#read === 'loading') this.#message.replaceChildren(h('p', { class: 'loading' }, 'Reading…'));
    else if (this.#failed !== undefined) {
      const again = h('button', { type: 'button', onclick: () => void this.#readPoints() }, 'Try again');
      this.#message.replaceChildren(
        emptyState('This chart cannot be read now', h('p', {}, explainError(this.#failed)), again),
      );
    } else if (this.#view === undefined) {
      this.#message.replaceChildren(
        emptyState(
          'This sensor is not known here',
          h('p', {}, 'It has not reported since the processor started, and the store has nothing recent of it.'),
        ),
      );
    } else {
      const live = this.#resolution.name === 'live';
      const text = live
        ? 'The last half hour is kept in memory, so it begins anew when the processor starts. Older values are in the windows of 1 min and more.'
        : 'The store has no window of this size in this range. Try a longer range, or a finer size.';
      this.#message.replaceChildren(emptyState('No readings in this range', h('p', {}, text)));
    }
  }

  #showCursor(index: number | null, byKey: boolean): void {
    const points = this.#data?.points;
    const point = index === null ? points?.findLast((one) => one !== undefined) : points?.[index];
    const text = point === undefined ? '' : describePoint(point, this.#style(), this.#context.now());
    setText(this.#readout, text);
    if (byKey) setText(this.#spoken, text);
  }

  #style(): ChartStyle {
    return { band: this.#band, width: this.#width, unit: this.#view?.unit ?? null };
  }

  #drawTable(): void {
    if (!this.#details.open) return;
    const unit = this.#view?.unit;
    const now = this.#context.now();
    const points = this.#data?.points.filter((point) => point !== undefined) ?? [];
    const head = ['From', 'Mean', 'Least', 'Greatest', 'Moving mean', 'Readings', 'Anomalous'];
    const rows = points
      .slice(-TABLE_ROWS)
      .toReversed()
      .map((point) =>
        tableRow([
          formatInstant(point.start, now),
          formatQuantity(point.mean, unit),
          formatQuantity(point.min, unit),
          formatQuantity(point.max, unit),
          formatQuantity(point.moving[BANDS[this.#band].mean], unit),
          formatCount(point.n),
          formatCount(point.anomalous),
        ]),
      );
    const note = points.length > TABLE_ROWS ? `The newest ${TABLE_ROWS} of ${formatCount(points.length)} points.` : '';
    this.#table.replaceChildren(h('p', { class: 'note' }, note), table(head, rows));
  }

  #drawAnomalies(): void {
    if (this.#rows.length === 0) {
      const text =
        'None so far. When a reading falls out of its expected band, it is listed here and marked on the chart.';
      this.#anomalies.replaceChildren(h('p', { class: 'note' }, text));
      return;
    }
    const now = this.#context.now();
    const rows = this.#rows.map((row) =>
      tableRow([
        h('span', { class: 'with-icon' }, stateIcon(row.severity), STATE_LABELS[row.severity]),
        formatInstant(row.openedAt, now),
        isOpen(row) ? 'open' : formatDuration(lengthOf(row)),
        formatKind(row.anomalyKind),
        formatQuantity(row.worst.value, row.unit),
        formatExpected(row.expected, row.unit, row.value),
        row.explanation,
      ]),
    );
    const head = ['Severity', 'Opened', 'Lasted', 'Kind', 'Worst', 'Expected', 'Why it fired'];
    this.#anomalies.replaceChildren(table(head, rows));
    this.#anomalies.querySelector('table')?.classList.add('stacked');
  }
}

/** What is drawn last lies on top. */
const criticalLast = (a: AnomalyRow, b: AnomalyRow): number =>
  Number(a.severity === 'critical') - Number(b.severity === 'critical');

const segment = (label: string, buttons: readonly HTMLElement[]): HTMLElement =>
  h('div', { class: 'segments', role: 'group', 'aria-label': label }, ...buttons);

const choice = (text: string, pressed: boolean, onclick: () => void): HTMLElement =>
  h('button', { type: 'button', 'aria-pressed': String(pressed), onclick }, text);

const option = (value: string | number, text: string, selected: boolean): HTMLElement =>
  h('option', { value, selected }, text);

const legendLine = (key: string, text: string): HTMLElement =>
  h('li', {}, h('span', { class: `key key-${key}`, 'aria-hidden': 'true' }), text);

const legendSign = (state: 'warning' | 'critical', text: string): HTMLElement => h('li', {}, stateIcon(state), text);
