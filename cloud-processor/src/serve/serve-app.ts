import { fileURLToPath } from 'node:url';

import { type DurationMs, durationMs, type HealthReport, sizeLabel, WINDOW_SIZES_DEFAULT } from '@floorwatch/contracts';
import {
  bearerAuth,
  defineMetrics,
  type Logger,
  loopbackNamesOnly,
  messageOf,
  refuseOtherMethods,
} from '@floorwatch/runtime';
import { type Context, Hono } from 'hono';
import { compress } from 'hono/compress';
import type { Registry } from 'prom-client';

import { METRIC_PREFIX } from '../metric-prefix.ts';
import type { OpenWindows } from '../floor-observer.ts';
import { type Store, StoreError } from '../write/store.ts';
import type { GatewayHint } from '../config.ts';
import { apiRoutes, readQuery } from './api-routes.ts';
import { connectionOf } from './connection.ts';
import { ConsoleFiles } from './console-files.ts';
import { type ExportLimits, exportRoutes } from './export-routes.ts';
import { BusyError, storeTrouble, TooLongError, UnsupportedError } from './failures.ts';
import type { FloorView } from './floor-view.ts';
import { serveLimits } from './limits.ts';
import { type DeadLetterDesk, deadLetterRoutes } from './dead-letter-routes.ts';
import { LiveFeed, type LiveLimits } from './live-feed.ts';
import { describeApi } from './openapi.ts';
import { QueryError } from './query-reader.ts';
import { reprocessRoutes } from './reprocess-routes.ts';
import { retentionRoutes } from './retention-routes.ts';
import { noStore, securityHeaders } from './security.ts';
import { SERVE_METRICS } from './serve-metrics.ts';
import { verifyRoutes } from './verify-routes.ts';

export interface ServeOptions {
  readonly store: Pick<Store, 'windows' | 'windowsByTime' | 'anomalies' | 'exportParquet' | 'retention'>;
  readonly view: FloorView;
  readonly openWindows: OpenWindows;
  /** Callers of the API must send it; undefined: none is asked for, and only requests to a loopback name are answered. */
  readonly token: string | undefined;
  /** The built console page; where `npm run build` puts it unless told otherwise. */
  readonly consoleDir?: string;
  /** Read for `/metrics`. Gets the metrics of this stage. */
  readonly metrics: Registry;
  readonly health: () => HealthReport;
  /** What `GET /api/v1/processor` answers: positions, counters, newest dead letters. */
  readonly processor?: () => unknown;
  /** Answers `/api/v1/dead-letters`. */
  readonly deadLetters?: DeadLetterDesk;
  /** Answers `/api/v1/reprocess`. */
  readonly reprocessor?: Parameters<typeof reprocessRoutes>[0];
  /** Answers `/api/v1/verify`. */
  readonly verifier?: Parameters<typeof verifyRoutes>[0];
  readonly logger: Logger;
  /** The sizes that the processor makes. */
  readonly windowSizes?: readonly DurationMs[];
  /** What the page tells people who see no sensor yet. */
  readonly gateway?: GatewayHint;
  /** Folder of the processor's own for files that are being exported. What is in it is removed. */
  readonly exportDir: string;
  /** Other limits of exports, for tests. */
  readonly exportLimits?: ExportLimits;
  /** Other limits of the live feed, for tests. */
  readonly liveLimits?: LiveLimits;
}

/** Where `npm run build` puts the console page. */
const CONSOLE_DIR_DEFAULT = fileURLToPath(new URL('../../../dashboards/console/dist', import.meta.url));

/**
 * Everything the processor answers over HTTP: `/healthz`, `/metrics`, the API under `/api/v1` with its live feed, and the console
 * page. Read-only but for dead letters, `reprocess`, `verify` and `retention`. With a token everything but the page's own files and the bare `/healthz` needs it.
 */
export function createServeApp(options: ServeOptions): Hono {
  const { view, token, metrics, health } = options;
  const app = new Hono();
  const feed = new LiveFeed({ view, ...(options.liveLimits === undefined ? {} : { limits: options.liveLimits }) });
  const files = new ConsoleFiles(options.consoleDir ?? CONSOLE_DIR_DEFAULT);
  defineMetrics(metrics, METRIC_PREFIX, SERVE_METRICS, () => ({ view, feed }));

  app.use(securityHeaders());
  if (token === undefined) app.use(loopbackNamesOnly);
  app.use(compress());
  app.onError((error, context) => answerError(error, context, options.logger));

  app.get('/healthz', noStore, (context) => {
    const { ok, parts } = health();
    const page = view.describeLeftOut();
    // No reason to start the processor again: nothing is missing in the store.
    const all = page === undefined ? parts : { ...parts, page };
    return context.json(token === undefined ? { ok, parts: all } : { ok }, ok ? 200 : 503);
  });
  for (const path of ['/metrics', '/api/*']) {
    app.use(path, noStore);
    if (token !== undefined) app.use(path, bearerAuth(token));
  }
  app.get('/metrics', async (context) =>
    context.body(await metrics.metrics(), 200, { 'Content-Type': metrics.contentType }),
  );
  app.get('/api/v1/live', (context) => openFeed(context, feed));
  const windowSizes = options.windowSizes ?? SIZES_DEFAULT;
  const description = describeApi(token !== undefined, windowSizes.map(sizeLabel));
  app.get('/api/v1/openapi.json', (context) => {
    readQuery(context, 'description');
    return context.json(description);
  });
  const { processor } = options;
  if (processor !== undefined) {
    app.get('/api/v1/processor', (context) => {
      readQuery(context, 'processor');
      return context.json({ ...Object(processor()) });
    });
  }
  if (options.deadLetters !== undefined) app.route('/api/v1/dead-letters', deadLetterRoutes(options.deadLetters));
  if (options.reprocessor !== undefined) app.route('/api/v1/reprocess', reprocessRoutes(options.reprocessor));
  if (options.verifier !== undefined) app.route('/api/v1/verify', verifyRoutes(options.verifier));
  app.route('/api/v1/retention', retentionRoutes(options.store.retention));
  app.route('/api/v1/export', exportRoutes({ ...options, windowSizes }));
  app.route('/api/v1', apiRoutes({ ...options, windowSizes }));
  refuseOtherMethods(app);
  app.all('/api/*', (context) =>
    context.json({ error: `${context.req.method} ${context.req.path} is not part of the API; see docs/api.md` }, 404),
  );
  app.get('*', (context) => files.answer(context));
  return app;
}

const SIZES_DEFAULT = WINDOW_SIZES_DEFAULT.map((size) => durationMs(size));

function openFeed(context: Context, feed: LiveFeed): Response {
  const sensors = readQuery(context, 'live').sensorIds('sensor', serveLimits.liveSensorsMax);
  // Nobody would read the events.
  if (context.req.method === 'HEAD') return context.body(null, 200, { 'Content-Type': 'text/event-stream' });
  const { address, hangUp } = connectionOf(context);
  const stream = feed.open({ sensors, lastEventId: context.req.header('last-event-id'), address, hangUp });
  return context.body(stream, 200, { 'Content-Type': 'text/event-stream', 'X-Accel-Buffering': 'no' });
}

/** What went wrong as an answer. Nothing of an unforeseen error is shown; it is in the log. */
function answerError(error: Error, context: Context, logger: Logger): Response {
  if (error instanceof QueryError) {
    const { message, field, value, remedy } = error;
    return context.json({ error: message, field, value, remedy }, 400);
  }
  if (error instanceof UnsupportedError) return context.json({ error: error.message, remedy: error.remedy }, 501);
  if (error instanceof TooLongError) return context.json({ error: error.message }, 503);
  if (error instanceof BusyError) return context.json({ error: error.message }, 503, { 'Retry-After': '1' });
  const path = context.req.path;
  if (error instanceof StoreError) {
    logger.warn({ path, code: error.code, error: error.message }, 'the store did not answer a question of a page');
    const wait = String(Math.ceil((error.retryAfterMs ?? 5_000) / 1_000));
    return context.json(storeTrouble(error), 503, { 'Retry-After': wait });
  }
  logger.error({ path, error: messageOf(error), stack: error.stack }, 'a request failed');
  return context.json(storeTrouble(error), 500);
}
