import type { About } from '@floorwatch/contracts';

import { h, setAttribute, setText, svg } from './dom.ts';
import { formatCount, formatTime, formatZone } from './format.ts';
import { describeTrouble } from './health-words.ts';
import type { ConnectionState } from './live-connection.ts';
import { themeSwitch } from './theme.ts';

export interface ShellHandlers {
  readonly onReconnect: () => void;
  readonly onThemeChange: () => void;
}

/** What stands around every view: where one can go, how the connection is, and the clock's zone. */
export class Shell {
  readonly main = h('main', { id: 'main', tabindex: -1 });
  readonly #links = new Map<string, HTMLElement>();
  readonly #badge = h('span', { class: 'nav-count', hidden: true });
  readonly #connection = h('p', { class: 'connection', role: 'status' });
  readonly #banner = h('div', { class: 'banner', role: 'alert', hidden: true });
  readonly #trouble = h('div', { class: 'banner', role: 'status', hidden: true });
  readonly #bannerText = h('span');
  readonly #countdown = h('span', { 'aria-hidden': 'true' });
  readonly #news = h('p', { class: 'sr', 'aria-live': 'polite' });
  readonly #foot = h('p');
  #state: ConnectionState = { kind: 'connecting' };

  constructor(root: HTMLElement, { onReconnect, onThemeChange }: ShellHandlers) {
    const link = (view: string, href: string, ...content: readonly (Node | string)[]): HTMLElement => {
      const element = h('a', { href }, ...content);
      this.#links.set(view, element);
      return element;
    };
    this.#banner.append(
      h('p', {}, this.#bannerText, this.#countdown),
      h('button', { type: 'button', onclick: onReconnect }, 'Try now'),
    );
    root.replaceChildren(
      h(
        'header',
        { class: 'top' },
        h('a', { class: 'brand', href: '#/floor' }, mark(), 'floorwatch'),
        h(
          'nav',
          { 'aria-label': 'Views' },
          link('floor', '#/floor', 'Floor'),
          link('anomalies', '#/anomalies', 'Anomalies', this.#badge),
        ),
        h('div', { class: 'tools' }, this.#connection, themeSwitch(onThemeChange)),
      ),
      this.#banner,
      this.#trouble,
      this.main,
      h('footer', {}, this.#foot),
      this.#news,
    );
    this.showVersion(undefined);
  }

  /** Marks where the page is. */
  showPlace(view: string): void {
    for (const [name, link] of this.#links) {
      if (name === view) setAttribute(link, 'aria-current', 'page');
      else link.removeAttribute('aria-current');
    }
  }

  showOpenAnomalies(count: number): void {
    this.#badge.hidden = count === 0;
    setText(this.#badge, formatCount(count));
    setAttribute(this.#badge, 'aria-label', `${formatCount(count)} open`);
  }

  showVersion(version: string | undefined): void {
    const zone = `Times are in ${formatZone(Date.now())}.`;
    setText(this.#foot, version === undefined ? zone : `${zone} floorwatch ${version}`);
  }

  /** Tells which parts of the processor do not work, so that nobody looks for the fault on the floor. */
  showHealth({ parts }: About['health']): void {
    const text = describeTrouble(parts);
    this.#trouble.hidden = text === '';
    if (this.#trouble.textContent !== text) this.#trouble.replaceChildren(h('p', {}, text));
  }

  showConnection(state: ConnectionState): void {
    const before = this.#state;
    this.#state = state;
    setAttribute(this.#connection, 'data-kind', state.kind);
    setText(this.#connection, LABELS[state.kind]);
    // While it tries again the banner stays, so that it does not flicker.
    const lost = state.kind === 'waiting' || (state.kind === 'connecting' && before.kind === 'waiting');
    if (state.kind === 'connecting' && before.kind === 'waiting') this.#state = before;
    this.#banner.hidden = !lost;
    document.documentElement.classList.toggle('stale', lost);
    if (state.kind === 'waiting') {
      setText(
        this.#bannerText,
        `No live connection since ${formatTime(state.since)}: ${state.why}. What is shown is from then.`,
      );
    }
    this.tick();
  }

  /** Tells people who cannot see the list that something happened. */
  announce(text: string): void {
    setText(this.#news, text);
  }

  tick(): void {
    if (this.#state.kind !== 'waiting') return;
    const seconds = Math.max(0, Math.ceil((this.#state.retryAt - Date.now()) / 1_000));
    setText(this.#countdown, seconds > 0 ? ` Trying again in ${seconds} s.` : ' Trying again…');
  }
}

const LABELS: Readonly<Record<ConnectionState['kind'], string>> = {
  connecting: 'Connecting',
  live: 'Live',
  waiting: 'Not connected',
  unauthorised: 'Token needed',
};

const mark = (): SVGSVGElement =>
  svg(
    'svg',
    { viewBox: '0 0 32 32', 'aria-hidden': 'true' },
    svg('path', { class: 'pulse', d: 'M3 19h6l3-10 5 15 3.6-9H29' }),
    svg('circle', { class: 'spot', cx: 18, cy: 6, r: 3 }),
  );
