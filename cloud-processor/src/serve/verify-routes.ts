import { programsOnly } from '@floorwatch/runtime';
import { Hono } from 'hono';

import type { VerifyRequest } from '@floorwatch/contracts/api';
import type { Verifier } from '../verify/verifier.ts';
import { readQuery } from './api-routes.ts';
import { QueryError } from './query-reader.ts';

/** `/verify`: start, look, stop. */
export function verifyRoutes(verifier: Pick<Verifier, 'start' | 'status' | 'stop'>): Hono {
  const api = new Hono();

  api.use(programsOnly('a verification is started and stopped by programs and not by pages'));
  api.post('/', (context) => {
    const query = readQuery(context, 'startVerify');
    const given = {
      from: query.instant('from'),
      to: query.instant('to'),
      site: query.text('site'),
      gateway: query.text('gateway'),
    };
    const { from, to } = given;
    if (from !== undefined && to !== undefined && from >= to)
      throw new QueryError('from', String(from), `is not before to (${to})`, 'use an earlier one');
    const outcome = verifier.start(requestOf(given));
    if (outcome === 'not-now') return context.json({ error: 'the store is not connected; try again later' }, 503);
    if (outcome === 'busy') return context.json({ error: 'another run goes on; wait for its end, or stop it' }, 409);
    return context.json(verifier.status, 202);
  });
  api.get('/', (context) => {
    readQuery(context, 'verify');
    const { status } = verifier;
    return status === undefined ? context.json(NONE, 404) : context.json(status);
  });
  api.delete('/', async (context) => {
    readQuery(context, 'stopVerify');
    return (await verifier.stop()) ? context.json(verifier.status) : context.json(NONE, 404);
  });
  return api;
}

const NONE = { error: 'nothing is being verified' };

/** Without what was not given. */
function requestOf(given: { readonly [K in keyof VerifyRequest]-?: VerifyRequest[K] | undefined }): VerifyRequest {
  const { from, to, site, gateway } = given;
  return {
    ...(from !== undefined && { from }),
    ...(to !== undefined && { to }),
    ...(site !== undefined && { site }),
    ...(gateway !== undefined && { gateway }),
  };
}
