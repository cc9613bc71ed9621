import { programsOnly } from '@floorwatch/runtime';
import { limits } from '@floorwatch/contracts';
import { Hono } from 'hono';

import type { DeadLetters } from '../dead-letters/dead-letters.ts';
import type { RetryOutcome } from '../dead-letters/retry.ts';
import { readQuery } from './api-routes.ts';
import { serveLimits } from './limits.ts';

/** The dead letters as the API shows and settles them. */
export interface DeadLetterDesk {
  readonly letters: Pick<DeadLetters, 'list' | 'get' | 'settle'>;
  readonly retry: (id: string) => Promise<RetryOutcome>;
}

const STATUS = { unknown: 404, impossible: 409, 'refused-again': 409, 'not-now': 503 } as const;

/** `/dead-letters`: list, show, try again, drop. */
export function deadLetterRoutes({ letters, retry }: DeadLetterDesk): Hono {
  const api = new Hono();

  api.use(programsOnly('dead letters are settled by programs and not by pages'));
  api.get('/', (context) => {
    const query = readQuery(context, 'deadLetters');
    const limit = query.count('limit', serveLimits.pageRowsDefault, limits.pageRowsMax);
    return context.json(letters.list(limit, query.text('after')));
  });
  api.get('/:id', async (context) => {
    readQuery(context, 'deadLetter');
    const letter = await letters.get(context.req.param('id'));
    return letter === undefined ? context.json(missing(context.req.param('id')), 404) : context.json(letter);
  });
  api.post('/:id/retry', async (context) => {
    readQuery(context, 'retryDeadLetter');
    const outcome = await retry(context.req.param('id'));
    if (outcome.kind === 'retried') return context.json({ id: context.req.param('id'), settled: 'retried' });
    return context.json({ error: outcome.message }, STATUS[outcome.kind]);
  });
  api.delete('/:id', async (context) => {
    readQuery(context, 'dropDeadLetter');
    const id = context.req.param('id');
    const done = await letters.settle(id, 'dropped', Date.now());
    return done ? context.json({ id, settled: 'dropped' }) : context.json(missing(id), 404);
  });
  return api;
}

const missing = (id: string): { readonly error: string } => ({ error: `there is no dead letter ${id.slice(0, 100)}` });
