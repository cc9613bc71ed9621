import type { ReprocessAnswer } from '@floorwatch/contracts/api';
import { programsOnly } from '@floorwatch/runtime';
import { Hono } from 'hono';

import type { Reprocessor } from '../reprocess/reprocessor.ts';
import { readQuery } from './api-routes.ts';
import { QueryError, required } from './query-reader.ts';

const INSTANT_REMEDY = 'give it as epoch milliseconds or ISO 8601 with a zone, such as 2026-03-01T08:00:00Z';

/** `/reprocess`: start, look, stop. */
export function reprocessRoutes(reprocessor: Pick<Reprocessor, 'start' | 'status' | 'stop'>): Hono {
  const api = new Hono();
  const answer = (): ReprocessAnswer | undefined => reprocessor.status;

  api.use(programsOnly('reprocessing is started and stopped by programs and not by pages'));
  api.post('/', (context) => {
    const query = readQuery(context, 'startReprocess');
    const from = required('from', query.instant('from'), INSTANT_REMEDY);
    const to = required('to', query.instant('to'), INSTANT_REMEDY);
    if (from >= to) throw new QueryError('from', String(from), `is not before to (${to})`, 'use an earlier one');
    const outcome = reprocessor.start({ from, to, dryRun: query.oneOf('dryRun', ['true']) !== undefined });
    if (outcome === 'not-now')
      return context.json({ error: 'NATS or the store is not connected; try again later' }, 503);
    if (outcome === 'busy') return context.json({ error: 'another run goes on; wait for its end, or stop it' }, 409);
    return context.json(answer(), 202);
  });
  api.get('/', (context) => {
    readQuery(context, 'reprocess');
    const status = answer();
    return status === undefined ? context.json(NONE, 404) : context.json(status);
  });
  api.delete('/', async (context) => {
    readQuery(context, 'stopReprocess');
    return (await reprocessor.stop()) ? context.json(answer()) : context.json(NONE, 404);
  });
  return api;
}

const NONE = { error: 'nothing is being reprocessed' };
