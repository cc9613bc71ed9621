import { messageOf, programsOnly } from '@floorwatch/runtime';
import { type Context, Hono } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { HTTPException } from 'hono/http-exception';
import { z } from 'zod';

import { QUARANTINE_REASONS, type QuarantineReason } from '../ingest/quarantined-reading.ts';
import { releaseTimeSchema } from './quarantine-record.ts';
import type { Quarantine, Submit } from './quarantine.ts';

/** Readings on a page, and settled by one request. */
export const QUARANTINE_PAGE = 1_000;
const BODY_BYTES_MAX = 64 * 1024;

const id = z.coerce.number().int().min(1).max(Number.MAX_SAFE_INTEGER);
const after = z.coerce.number().int().min(0).default(0);
const reasons = Object.keys(QUARANTINE_REASONS) as [QuarantineReason, ...QuarantineReason[]];
const filterShape = {
  device: z.string().exactOptional(),
  metric: z.string().exactOptional(),
  reason: z.enum(reasons).exactOptional(),
};
const listSchema = z.strictObject({
  ...filterShape,
  limit: id.max(QUARANTINE_PAGE).default(100),
  after,
});
const selectionSchema = z.strictObject({
  ...filterShape,
  ids: z.array(id).min(1).max(QUARANTINE_PAGE).exactOptional(),
});
const dropSchema = z.strictObject({ select: selectionSchema, after });
const releaseSchema = dropSchema.extend({ time: releaseTimeSchema });

/** What the routes need of the agent. */
export interface QuarantineDesk {
  readonly quarantine: Quarantine;
  /** Event times behind it are in the future, as the intake judges now. */
  readonly latest: () => number;
  readonly submit: Submit;
}

/**
 * `GET /`: readings in quarantine, oldest first, with `limit`, `after` (`next` of the page before), `device`, `metric` and `reason`.
 * `POST /release` and `POST /drop`: settles those that `select` means, at most {@link QUARANTINE_PAGE} with one request; the rest follows
 * with `next` of the answer as `after`.
 */
export function quarantineRoutes({ quarantine, latest, submit }: QuarantineDesk): Hono {
  const api = new Hono();
  api.use(programsOnly('the quarantine is settled by programs and not by pages'));
  api.use(bodyLimit({ maxSize: BODY_BYTES_MAX }));
  api.onError((error, context) => {
    if (error instanceof z.ZodError) return context.json({ error: z.prettifyError(error) }, 400);
    if (error instanceof HTTPException) return context.json({ error: error.message }, error.status);
    if (error instanceof SyntaxError) return context.json({ error: `the body must be JSON: ${messageOf(error)}` }, 400);
    return context.json({ error: messageOf(error) }, 503);
  });
  api.get('/', async (context) => {
    const { limit, after: from, ...selection } = listSchema.parse(context.req.query());
    return context.json(await quarantine.list(selection, { limit, after: from }));
  });
  api.post('/release', async (context) => {
    const { select, time, after: from } = releaseSchema.parse(await body(context));
    const page = { limit: QUARANTINE_PAGE, after: from };
    return context.json(await quarantine.release(select, time, { ...page, latest: latest(), submit }));
  });
  api.post('/drop', async (context) => {
    const { select, after: from } = dropSchema.parse(await body(context));
    return context.json(await quarantine.drop(select, { limit: QUARANTINE_PAGE, after: from }));
  });
  return api;
}

const body = async (context: Context): Promise<unknown> => JSON.parse(await context.req.text()) as unknown;
