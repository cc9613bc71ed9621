import type { AnomalyRow, SensorView } from '@floorwatch/contracts';

import { anomalySensorId, isOpen, lengthOf } from '../anomaly-list.ts';
import { h, setText, svg } from '../dom.ts';
import { formatDuration, formatExpected, formatInstant, formatQuantity, formatTerm, formatValue } from '../format.ts';
import { formatKind, kindWords } from '../kind-words.ts';
import { sensorHash } from '../routes.ts';
import { expectedGlyph } from './expected-glyph.ts';
import { sparklinePath } from './sparkline.ts';
import { STATE_LABELS, stateIcon } from './state-icon.ts';

/** One episode, told so that somebody can act: what, where, how far off, for how long, and why it fired. */
export class AnomalyCard {
  readonly element: HTMLElement;
  #row: AnomalyRow;
  readonly #duration = h('span', { class: 'duration' });
  readonly #worst = h('span');
  readonly #score = h('span');
  readonly #newest = h('span');

  /** @param level of its heading, below that of the list it stands in. */
  constructor(row: AnomalyRow, now: number, level: 'h2' | 'h3', sensor: SensorView | undefined) {
    this.#row = row;
    const { device, metric, site, gateway } = row.sensor;
    const id = anomalySensorId(row);
    this.element = h(
      'article',
      { class: `anomaly severity-${row.severity} ${isOpen(row) ? 'is-open' : 'is-closed'}`, 'data-id': row.id },
      h(
        'header',
        {},
        stateIcon(row.severity),
        h(
          'div',
          { class: 'what' },
          h(level, {}, h('a', { href: sensorHash(id) }, `${device} · ${metric}`)),
          h('p', { class: 'where' }, `${formatKind(row.anomalyKind)} · ${site} / ${gateway}`),
        ),
        h(
          'p',
          { class: 'status' },
          h('span', { class: `badge ${row.severity}` }, STATE_LABELS[row.severity]),
          h('span', { class: 'badge plain' }, isOpen(row) ? 'Open' : 'Closed'),
        ),
      ),
      h('p', { class: 'explanation' }, row.explanation),
      h('div', { class: hasBand(row) ? 'evidence' : 'evidence valueless' }, before(row), versus(row), this.#facts(now)),
      meaning(row),
    );
    this.update(row, now, sensor);
  }

  /**
   * Shows a newer word on the same episode in place, so that a link does not go away under a finger.
   *
   * @returns false, and nothing is done, if another card is needed: another episode, or one that reads differently now.
   */
  update(row: AnomalyRow, now: number, sensor: SensorView | undefined): boolean {
    const shown = this.#row;
    const same = row.id === shown.id && row.severity === shown.severity && row.explanation === shown.explanation;
    if (!same || isOpen(row) !== isOpen(shown)) return false;
    this.#row = row;
    setText(this.#worst, formatQuantity(row.worst.value, row.unit, 4));
    setText(this.#score, formatValue(row.worst.score, 3));
    this.tick(now, sensor);
    return true;
  }

  get sensorId(): string {
    return anomalySensorId(this.#row);
  }

  #facts(now: number): HTMLElement {
    const row = this.#row;
    const notes = [
      row.closeReason === undefined || row.closeReason === 'recovered'
        ? null
        : formatTerm(row.closeReason).toLowerCase(),
      row.provenance === 'backlog' ? 'from a backlog' : null,
      row.clock === 'unsynchronised' ? 'the gateway’s clock was not synchronised' : null,
    ].filter((note) => note !== null);
    return h(
      'dl',
      { class: 'facts' },
      fact('Opened', formatInstant(row.openedAt, now)),
      isOpen(row) ? fact('Newest reading', this.#newest) : h('div', { hidden: true }),
      fact('Lasted', this.#duration),
      hasBand(row) ? fact('Worst', this.#worst) : h('div', { hidden: true }),
      fact('Score', this.#score),
      fact('Detector', formatTerm(row.detector)),
      notes.length > 0 ? fact('Note', notes.join(', ')) : h('div', { hidden: true }),
    );
  }

  /**
   * Brings up to date what changes while the card is looked at.
   *
   * @param sensor as the floor shows it, so that the card and the floor never seem to contradict each other.
   */
  tick(now: number, sensor: SensorView | undefined): void {
    const { openedAt } = this.#row;
    // A recording that is played back has times of its own; its open episodes are as long as what has been read.
    const age = now - openedAt;
    const open = isOpen(this.#row);
    const length = open && age < 86_400_000 ? Math.max(age, 0) : lengthOf(this.#row);
    setText(this.#newest, newestText(sensor, now));
    setText(this.#duration, open ? `${formatDuration(length)} so far` : formatDuration(length));
  }
}

const newestText = (sensor: SensorView | undefined, now: number): string =>
  sensor === undefined || sensor.last === null
    ? 'none'
    : `${formatQuantity(sensor.last, sensor.unit, 4)} at ${formatInstant(sensor.lastAt, now)}`;

const fact = (name: string, ...value: readonly (Node | string)[]): HTMLElement =>
  h('div', {}, h('dt', {}, name), h('dd', {}, ...value));

/** Whether the anomaly is one of a value that left its band. A sensor that is silent, say, has read nothing. */
const hasBand = ({ expected: { low, high }, value, worst }: AnomalyRow): boolean =>
  [value, worst.value].some((read) => (low !== null && read < low) || (high !== null && read > high));

/** What was read against what was expected. */
function versus(row: AnomalyRow): Element {
  if (!hasBand(row)) return h('span', { hidden: true });
  return h(
    'figure',
    { class: 'versus' },
    expectedGlyph(row.expected, row.value, row.unit, row.severity),
    h(
      'figcaption',
      {},
      h('span', {}, 'Read ', h('strong', {}, formatQuantity(row.value, row.unit, 4))),
      h('span', {}, `expected ${formatExpected(row.expected, row.unit, row.value)}`),
    ),
  );
}

/** The readings before the opening, and the one that opened it. */
function before(row: AnomalyRow): Element {
  const values = [...row.before.map(({ value }) => value), row.value];
  if (values.length < 3) return h('span', { hidden: true });
  const path = sparklinePath(values);
  const end = path.slice(path.lastIndexOf('L') + 1).split(' ');
  return h(
    'figure',
    { class: 'before' },
    svg(
      'svg',
      { class: 'sparkline', viewBox: '0 0 96 26', 'aria-hidden': 'true' },
      svg('path', { d: path }),
      svg('circle', { cx: end[0], cy: end[1], r: 3, class: `severity-${row.severity}` }),
    ),
    h('figcaption', {}, `the ${values.length - 1} readings before, and this one`),
  );
}

/** What such an anomaly means, for who sees it for the first time. */
function meaning({ anomalyKind }: AnomalyRow): Element | null {
  const words = kindWords(anomalyKind);
  if (words === undefined) return null;
  return h(
    'details',
    { class: 'meaning' },
    h('summary', {}, 'What this means'),
    h('p', {}, words.meaning),
    h('p', {}, h('strong', {}, 'Typical causes: '), `${words.causes}.`),
  );
}
