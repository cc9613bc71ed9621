import {
  type About,
  durationMs,
  type DurationMs,
  epochMs,
  type HealthReport,
  limits,
  type Page,
  parseSizeLabel,
  SENSOR_STATES,
  sensorId,
  SEVERITIES,
  shift,
  sizeLabel,
} from '@floorwatch/contracts';
import { VERSION } from '@floorwatch/runtime';
import { type Context, Hono } from 'hono';

import type { OpenWindows } from '../floor-observer.ts';
import { type Store, StoreError } from '../write/store.ts';
import type { GatewayHint } from '../config.ts';
import type { FloorView } from './floor-view.ts';
import { BusyError } from './failures.ts';
import { serveLimits } from './limits.ts';
import { type OperationName, OPERATIONS, PAGE_KEY_MAX } from './operations.ts';
import { QueryError, QueryReader, required, SENSOR_REMEDY } from './query-reader.ts';
import { listWindows } from './window-list.ts';

export interface ApiOptions {
  readonly store: Pick<Store, 'windows' | 'anomalies'>;
  readonly view: FloorView;
  readonly openWindows: OpenWindows;
  readonly health: () => HealthReport;
  /** The sizes that the processor makes. */
  readonly windowSizes: readonly DurationMs[];
  /** What the page tells people who see no sensor yet. */
  readonly gateway?: GatewayHint;
}

/** The read-only JSON API. See docs/api.md for its addresses. */
export function apiRoutes({ store, view, openWindows, health, windowSizes, gateway = {} }: ApiOptions): Hono {
  const api = new Hono();
  const ask = limitConcurrency(serveLimits.storeQueriesMax);

  api.get('/', (context) => {
    readQuery(context, 'about');
    return context.json({
      name: 'floorwatch',
      version: VERSION,
      now: epochMs(Date.now()),
      windowSizes: windowSizes.map(sizeLabel),
      silentAfterMs: view.silentAfterMs,
      historyMs: serveLimits.historyMs,
      counts: view.counts(),
      gateway,
      health: health(),
    } satisfies About);
  });

  api.get('/sites', (context) => {
    const query = readQuery(context, 'sites');
    const after = query.text('after');
    const sites = view.sites().filter(({ site }) => after === undefined || site > after);
    return context.json(paged(sites, limitOf(query), ({ site }) => site));
  });

  api.get('/sensors', (context) => {
    const query = readQuery(context, 'sensors');
    const limit = limitOf(query);
    const ids = query.sensorIds('sensor', serveLimits.sparklinesMax);
    const filter = given({
      ids: ids.length > 0 ? new Set(ids) : undefined,
      site: query.text('site'),
      gateway: query.text('gateway'),
      device: query.text('device'),
      state: query.oneOf('state', SENSOR_STATES),
      search: query.text('search'),
      after: readId(query, 'after'),
    });
    return context.json(paged(view.sensors(filter, limit + 1), limit, ({ id }) => id));
  });

  api.get('/rollups', (context) => {
    const query = readQuery(context, 'rollups');
    const id = sensorId(required('sensor', query.sensor('sensor'), SENSOR_REMEDY));
    const { from, to } = query.range();
    const after = query.instant('after');
    const points = view.points(id, after === undefined ? from : Math.max(from, after + 1), to) ?? [];
    return context.json(paged(points, limitOf(query), ({ start }) => String(start)));
  });

  api.get('/sparklines', (context) => {
    const query = readQuery(context, 'sparklines');
    const ids = query.sensorIds('sensor', serveLimits.sparklinesMax);
    if (ids.length === 0) throw new QueryError('sensor', '', 'is missing', SENSOR_REMEDY);
    const count = query.count('points', serveLimits.sparklinePointsDefault, serveLimits.pointsPerSensorMax);
    const items = ids.map((id) => view.sparkline(id, count));
    return context.json({ items, next: null });
  });

  api.get('/windows', async (context) => {
    const query = readQuery(context, 'windows');
    const sensor = required('sensor', query.sensor('sensor'), SENSOR_REMEDY);
    const size = readSize(query, windowSizes);
    const range = query.range();
    const after = query.instant('after');
    const from = after === undefined ? range.from : epochMs(Math.max(range.from, shift(after, 1)));
    const limit = limitOf(query);
    if (from >= range.to) return context.json({ items: [], next: null });
    return context.json(await ask(() => listWindows(store, openWindows, { sensor, size, from, to: range.to, limit })));
  });

  api.get('/anomalies', async (context) => {
    const query = readQuery(context, 'anomalies');
    const optional = given({
      sensor: query.sensor('sensor'),
      severity: query.oneOf('severity', SEVERITIES),
      openOnly: query.oneOf('open', ['true']) === undefined ? undefined : true,
      after: query.text('after', PAGE_KEY_MAX),
    });
    const asked = { ...query.range(), limit: limitOf(query), ...optional };
    try {
      return context.json(await ask(() => store.anomalies(asked)));
    } catch (error) {
      // The key of a page is the store's own, so only the store can tell that it is none.
      const { after } = optional;
      if (after === undefined || !(error instanceof StoreError) || error.code !== 'refused') throw error;
      throw new QueryError('after', after, 'is not the key of a page', 'use the "next" of the page before');
    }
  });

  return api;
}

/** The parameters of a request; it takes those that are described, and no others. */
export const readQuery = (context: Context, operation: OperationName): QueryReader =>
  new QueryReader(context.req.queries(), Object.keys(OPERATIONS[operation].query));

const limitOf = (query: QueryReader): number => query.count('limit', serveLimits.pageRowsDefault, limits.pageRowsMax);

function readId(query: QueryReader, name: string): string | undefined {
  const ref = query.sensor(name);
  return ref === undefined ? undefined : sensorId(ref);
}

/** One of the sizes that the processor makes. */
export function readSize(query: QueryReader, sizes: readonly DurationMs[]): DurationMs {
  const labels = sizes.map(sizeLabel);
  const remedy = `use one of: ${labels.join(', ')}`;
  const size = parseSizeLabel(required('size', query.oneOf('size', labels), remedy));
  return durationMs(required('size', size, remedy));
}

/** The first `limit` of `items`; `next` is the key of the last one if there are more. */
function paged<T>(items: readonly T[], limit: number, keyOf: (item: T) => string): Page<T> {
  const page = items.slice(0, limit);
  const last = page.at(-1);
  return { items: page, next: items.length > limit && last !== undefined ? keyOf(last) : null };
}

type Given<T> = { [K in keyof T]?: Exclude<T[K], undefined> };

/** Without the fields that are undefined: an optional field is either there or not. */
export const given = <T extends object>(fields: T): Given<T> =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Given<T>;

/** Runs at most `max` at the same time and refuses the others. */
function limitConcurrency(max: number): <T>(run: () => Promise<T>) => Promise<T> {
  let running = 0;
  return async (run) => {
    if (running >= max) throw new BusyError(`${max} questions to the store are being answered already`);
    running += 1;
    try {
      return await run();
    } finally {
      running -= 1;
    }
  };
}
