import type {
  About,
  AnomalyRow,
  Page,
  RollupPoint,
  SensorView,
  SiteView,
  SparklineView,
  WindowView,
} from '@floorwatch/contracts';

/** The processor did not answer as hoped. `status` 0: it could not be reached. */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  readonly status: number;

  constructor(status: number, message: string, options?: ErrorOptions) {
    super(message, options);
    this.status = status;
  }
}

const TOKEN_KEY = 'floorwatch-token';
const ANSWER_MS_MAX = 20_000;

type Query = Readonly<Record<string, string | number | readonly string[] | undefined>>;

/** Asks the API. Calls `onUnauthorised` whenever a token is missing or wrong. */
export class ApiClient {
  readonly #onUnauthorised: () => void;

  constructor(onUnauthorised: () => void) {
    this.#onUnauthorised = onUnauthorised;
  }

  /** Keeps the token until the tab is closed, and nowhere else. */
  useToken(token: string): void {
    sessionStorage.setItem(TOKEN_KEY, token);
  }

  about(): Promise<About> {
    return this.#get('', {});
  }

  async sites(): Promise<readonly SiteView[]> {
    return (await this.#get<Page<SiteView>>('/sites', {})).items;
  }

  /** One page of sensors. */
  sensors(query: { readonly limit: number; readonly after?: string | undefined }): Promise<Page<SensorView>> {
    return this.#get('/sensors', query);
  }

  /** One sensor, or undefined if the processor does not know it. */
  async sensor(id: string): Promise<SensorView | undefined> {
    return (await this.#get<Page<SensorView>>('/sensors', { sensor: id })).items[0];
  }

  async sparklines(ids: readonly string[], points: number): Promise<readonly SparklineView[]> {
    return (await this.#get<Page<SparklineView>>('/sparklines', { sensor: ids, points })).items;
  }

  async rollups(sensor: string): Promise<readonly RollupPoint[]> {
    return (await this.#get<Page<RollupPoint>>('/rollups', { sensor })).items;
  }

  /** The windows of a range, at most two pages of them. */
  async windows(sensor: string, size: string, from: number, to: number): Promise<readonly WindowView[]> {
    const query = { sensor, size, from, to, limit: 5_000 };
    const page = await this.#get<Page<WindowView>>('/windows', query);
    if (page.next === null) return page.items;
    const next = await this.#get<Page<WindowView>>('/windows', { ...query, after: page.next });
    return [...page.items, ...next.items];
  }

  anomalies(query: {
    readonly sensor?: string | undefined;
    readonly severity?: string | undefined;
    readonly open?: 'true' | undefined;
    readonly from?: number | undefined;
    readonly to?: number | undefined;
    readonly limit: number;
    readonly after?: string | undefined;
  }): Promise<Page<AnomalyRow>> {
    return this.#get('/anomalies', query);
  }

  /** The live feed's bytes, with the rollups of these sensors; first with what was missed since `lastEventId`, if there is one. */
  async live(
    sensors: readonly string[],
    lastEventId: string | undefined,
    signal: AbortSignal,
  ): Promise<ReadableStream<Uint8Array>> {
    const more = lastEventId === undefined ? {} : { 'Last-Event-ID': lastEventId };
    const response = await this.#fetch('/live', { sensor: sensors }, signal, more);
    if (response.body === null) throw new ApiError(0, 'the live feed is empty');
    return response.body;
  }

  async #get<T>(path: string, query: Query): Promise<T> {
    const response = await this.#fetch(path, query, AbortSignal.timeout(ANSWER_MS_MAX));
    return (await response.json()) as T;
  }

  async #fetch(
    path: string,
    query: Query,
    signal: AbortSignal,
    more: Readonly<Record<string, string>> = {},
  ): Promise<Response> {
    const search = new URLSearchParams();
    for (const [name, value] of Object.entries(query)) {
      if (value === undefined) continue;
      for (const one of typeof value === 'object' ? value : [value]) search.append(name, String(one));
    }
    const token = sessionStorage.getItem(TOKEN_KEY);
    const headers = token === null ? more : { ...more, Authorization: `Bearer ${token}` };
    const url = `/api/v1${path}${search.size > 0 ? `?${search}` : ''}`;
    let response: Response;
    try {
      response = await fetch(url, { headers, signal, cache: 'no-store', credentials: 'omit' });
    } catch (cause) {
      throw new ApiError(
        0,
        signal.aborted ? 'the processor did not answer in time' : 'the processor cannot be reached',
        {
          cause,
        },
      );
    }
    if (response.ok) return response;
    if (response.status === 401) this.#onUnauthorised();
    throw new ApiError(response.status, await errorText(response));
  }
}

async function errorText(response: Response): Promise<string> {
  try {
    const { error } = (await response.json()) as { readonly error?: unknown };
    if (typeof error === 'string') return error;
  } catch {
    // Not ours; a proxy perhaps. The status says enough.
  }
  return `the processor answered ${response.status}`;
}
