import type { About, AnomalyRow, LiveEvents } from '@floorwatch/contracts';

import { anomalySensorId, isOpen, mergeAnomalies } from './anomaly-list.ts';
import { ApiClient } from './api-client.ts';
import { h } from './dom.ts';
import { FloorModel } from './floor-model.ts';
import { formatKind } from './kind-words.ts';
import { LiveConnection } from './live-connection.ts';
import { emptyState } from './parts/notice.ts';
import { STATE_LABELS } from './parts/state-icon.ts';
import { TokenDialog } from './parts/token-dialog.ts';
import { parseRoute, type Route } from './routes.ts';
import { Shell } from './shell.ts';
import type { View, ViewContext } from './view.ts';
import { AnomaliesPage } from './views/anomalies-view.ts';
import { FloorPage } from './views/floor-view.ts';
import { SensorPage } from './views/sensor-view.ts';

const SENSORS_PER_REQUEST = 5_000;
/** Open episodes read at once; a floor with more has other worries than their number. */
const OPEN_MAX = 500;
/** The store hears of an end some seconds after the feed does; reading again mends what a page that began in between believes. */
const OPEN_EVERY_S = 30;
/** How often the processor is asked how it is. */
const ABOUT_EVERY_S = 10;

/** The page: what it knows, the view it shows, and the connection that keeps both up to date. */
export class App implements ViewContext {
  readonly api: ApiClient;
  readonly floor = new FloorModel();
  readonly #shell: Shell;
  readonly #connection: LiveConnection;
  readonly #open = new Map<string, AnomalyRow>();
  /** Newer than an answer of the store that is on its way. */
  readonly #heard = new Map<string, AnomalyRow>();
  #about: About | undefined;
  /** The processor's clock minus this machine's. */
  #clockOffset = 0;
  #loaded = false;
  #live = false;
  #seconds = 0;
  #view: View | undefined;
  #place = '';

  constructor(root: HTMLElement) {
    const dialog = new TokenDialog((token) => {
      this.api.useToken(token);
      this.#connection.connect();
    });
    this.api = new ApiClient(() => dialog.ask());
    this.#connection = new LiveConnection(this.api, {
      opened: () => void this.#load(),
      event: (name, data) => this.#hear(name, data),
      state: (state) => {
        this.#live = state.kind === 'live';
        this.#shell.showConnection(state);
      },
    });
    this.#shell = new Shell(root, {
      onReconnect: () => this.#connection.connect(),
      onThemeChange: () => this.#view?.recolour(),
    });
    document.body.append(dialog.element);
  }

  start(): void {
    window.addEventListener('hashchange', () => this.#show(parseRoute(location.hash), true));
    setInterval(() => this.#tick(), 1_000);
    this.#show(parseRoute(location.hash), false);
    this.#connection.connect();
  }

  now(): number {
    return Date.now() + this.#clockOffset;
  }

  about(): About | undefined {
    return this.#about;
  }

  openAnomalies(): readonly AnomalyRow[] {
    return [...this.#open.values()].sort((a, b) => b.openedAt - a.openedAt);
  }

  loaded(): boolean {
    return this.#loaded;
  }

  #tick(): void {
    this.#shell.tick();
    this.#view?.tick();
    this.#seconds += 1;
    if (!this.#live || !this.#loaded) return;
    if (this.#seconds % OPEN_EVERY_S === 0) void this.#reconcile();
    if (this.#seconds % ABOUT_EVERY_S === 0) void this.#readAbout().catch(() => undefined);
  }

  #show(route: Route, focus: boolean): void {
    const place =
      route.view === 'sensor' ? `sensor ${route.id}` : `${route.view}?${'query' in route ? route.query : ''}`;
    if (place === this.#place) return;
    this.#place = place;
    this.#view?.destroy();
    this.#view = this.#makeView(route);
    this.#shell.showPlace(route.view);
    this.#shell.main.replaceChildren(this.#view?.element ?? lost());
    document.title = `${this.#view?.title() ?? 'Not found'} – floorwatch`;
    this.#connection.watch(this.#view?.watches() ?? []);
    this.#view?.refresh();
    window.scrollTo(0, 0);
    // A screen reader begins at the new view's heading, as it would on a page of its own.
    if (focus) this.#shell.main.querySelector('h1')?.focus({ preventScroll: true });
  }

  #makeView(route: Route): View | undefined {
    switch (route.view) {
      case 'floor':
        return new FloorPage(this, route.query);
      case 'anomalies':
        return new AnomaliesPage(this, route.query);
      case 'sensor':
        return new SensorPage(this, route.id, route.query);
      case 'lost':
      default:
        return undefined;
    }
  }

  /** Reads everything anew: what happened while nobody listened is in the answers. */
  async #load(): Promise<void> {
    try {
      await this.#readAbout();
      await this.#loadSensors();
      this.#loaded = true;
      this.#view?.refresh();
      await this.#loadOpenAnomalies();
    } catch {
      // The connection tells what is wrong, and loads again when it is back; the store alone may be away, and views say so.
    }
    this.#loaded = true;
    this.#view?.refresh();
  }

  async #readAbout(): Promise<void> {
    const about = await this.api.about();
    this.#about = about;
    this.#clockOffset = about.now - Date.now();
    this.#shell.showVersion(about.version);
    this.#shell.showHealth(about.health);
  }

  async #loadSensors(): Promise<void> {
    const ids = new Set<string>();
    let after: string | undefined;
    do {
      const page = await this.api.sensors({ limit: SENSORS_PER_REQUEST, after });
      this.floor.apply(page.items);
      for (const { id } of page.items) ids.add(id);
      after = page.next ?? undefined;
    } while (after !== undefined);
    this.floor.keepOnly(ids);
  }

  async #loadOpenAnomalies(): Promise<void> {
    this.#heard.clear();
    const { items } = await this.api.anomalies({ open: 'true', limit: OPEN_MAX });
    const rows = mergeAnomalies(items, [...this.#heard.values()], OPEN_MAX).filter(isOpen);
    this.#open.clear();
    for (const row of rows) this.#open.set(row.id, row);
    this.#shell.showOpenAnomalies(this.#open.size);
  }

  async #reconcile(): Promise<void> {
    const before = [...this.#open.keys()].sort().join();
    try {
      await this.#loadOpenAnomalies();
    } catch {
      // The next time will do: what the feed told is still right.
      return;
    }
    if ([...this.#open.keys()].sort().join() !== before) this.#view?.refresh();
  }

  #hear<K extends keyof LiveEvents>(name: K, data: LiveEvents[K]): void {
    if (name === 'sensors') {
      const views = data as LiveEvents['sensors'];
      this.floor.apply(views);
      this.#view?.sensors(views);
    } else if (name === 'anomaly') this.#hearAnomaly(data as LiveEvents['anomaly']);
    else if (name === 'rollups') this.#view?.rollups(data as LiveEvents['rollups']);
    else if (name === 'reset') void this.#load();
    else this.#clockOffset = (data as LiveEvents['heartbeat']).at - Date.now();
  }

  #hearAnomaly(row: AnomalyRow): void {
    const known = this.#open.has(row.id);
    if (this.#heard.size < OPEN_MAX) this.#heard.set(row.id, row);
    if (!isOpen(row)) this.#open.delete(row.id);
    else if (known || this.#open.size < OPEN_MAX) this.#open.set(row.id, row);
    if (isOpen(row) && !known) {
      const [, , device, metric] = anomalySensorId(row).split('/');
      this.#shell.announce(
        `${STATE_LABELS[row.severity]} anomaly, ${formatKind(row.anomalyKind).toLowerCase()}: ${device} ${metric}. ${row.explanation}`,
      );
    }
    this.#shell.showOpenAnomalies(this.#open.size);
    this.#view?.anomaly(row);
  }
}

const lost = (): HTMLElement =>
  h(
    'div',
    {},
    h('h1', { tabindex: -1 }, 'There is no such place'),
    emptyState('The address names nothing here', h('p', {}, h('a', { href: '#/floor' }, 'Go to the floor'))),
  );
