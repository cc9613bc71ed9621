import { sensorKey } from '@floorwatch/contracts';
import { bearerAuth, loopbackNamesOnly } from '@floorwatch/runtime';
import { Hono } from 'hono';

import { limits } from '../limits.ts';
import { type QuarantineDesk, quarantineRoutes } from '../quarantine/quarantine-routes.ts';
import type { SensorState } from '../sensor-engine.ts';
import type { AgentSource } from './agent-view.ts';
import { Metrics } from './metrics.ts';
import { troubleText } from './troubles.ts';

const SENSORS_PAGE_DEFAULT = 100;

/**
 * The agent's own page, read-only but for the quarantine:
 *
 * - `GET /healthz`: 200 with `status` `ok` or `degraded`, and the troubles in words. Never asks for a token; where there is one, only `/status` tells
 *   the troubles.
 * - `GET /metrics`: for Prometheus.
 * - `GET /status`: an `AgentView`, and `lastRejects`, newest first.
 * - `GET /sensors?limit=&after=`: sensors with their moving statistics in the order of their first readings; `next` of one page is
 *   `after` of the one behind it, null on the last.
 *
 * @param token what callers must send, or undefined: then only requests to a loopback name are answered.
 * @param quarantine answers `/quarantine`, the one page that changes something.
 */
export function createStatusApp(source: AgentSource, token: string | undefined, quarantine?: QuarantineDesk): Hono {
  const app = new Hono();
  const metrics = new Metrics(source.commitTimes);

  if (token === undefined) app.use(loopbackNamesOnly);
  app.get('/healthz', (context) => {
    const troubles = source.view().troubles.map(troubleText);
    const status = troubles.length === 0 ? 'ok' : 'degraded';
    return context.json(token === undefined ? { status, troubles } : { status });
  });
  if (token !== undefined) app.use(bearerAuth(token));
  app.get('/metrics', async (context) =>
    context.body(await metrics.render(source.view()), 200, { 'Content-Type': metrics.contentType }),
  );
  app.get('/status', (context) => context.json({ ...source.view(), lastRejects: source.lastRejects() }));
  app.get('/sensors', (context) => {
    const limit = parseCount(context.req.query('limit'), SENSORS_PAGE_DEFAULT, limits.sensorsPageMax);
    const after = parseCount(context.req.query('after'), 0, Number.MAX_SAFE_INTEGER);
    if (limit === undefined || limit === 0) {
      return context.json({ error: `limit: must be a whole number from 1 to ${limits.sensorsPageMax}` }, 400);
    }
    if (after === undefined) return context.json({ error: 'after: must be "next" of the page before' }, 400);
    return context.json(pageOf(source.sensors(), after, limit));
  });
  if (quarantine !== undefined) app.route('/quarantine', quarantineRoutes(quarantine));
  app.notFound((context) =>
    context.json({ error: 'no such page; there are /healthz, /metrics, /status, /sensors and /quarantine' }, 404),
  );
  return app;
}

/** The whole number from 0 to `max` that `text` is; `absent` if there is none, undefined if it is something else. */
function parseCount(text: string | undefined, absent: number, max: number): number | undefined {
  if (text === undefined) return absent;
  const count = Number(text);
  return /^\d{1,16}$/.test(text) && count <= max ? count : undefined;
}

/** The sensors after the first `after`, at most `limit`. Sensors are never removed, so a position stays valid. */
function pageOf(sensors: Iterable<SensorState>, after: number, limit: number): object {
  const items: object[] = [];
  let position = 0;
  for (const sensor of sensors) {
    position += 1;
    if (position <= after) continue;
    if (items.length === limit) return { items, next: String(after + limit) };
    items.push({ id: sensorKey(sensor), ...sensor });
  }
  return { items, next: null };
}
