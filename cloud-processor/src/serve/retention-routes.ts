import { programsOnly } from '@floorwatch/runtime';
import { Hono } from 'hono';

import type { StoreRetention } from '../write/store.ts';
import { readQuery } from './api-routes.ts';
import { UnsupportedError } from './failures.ts';
import { QueryError, required } from './query-reader.ts';

/** `/retention`: which rows are due to be deleted for their age, and a person's agreement that they are. */
export function retentionRoutes(retention: StoreRetention | undefined): Hono {
  const api = new Hono();
  const ofStore = (): StoreRetention => {
    if (retention !== undefined) return retention;
    throw new UnsupportedError(
      'InfluxDB deletes old rows by itself',
      'change the retention of its bucket with "set-up"',
    );
  };

  api.use(programsOnly('the deletion of rows is agreed to by programs and not by pages'));
  api.get('/', (context) => {
    readQuery(context, 'retention');
    return context.json(ofStore().status());
  });
  api.post('/agree', async (context) => {
    const query = readQuery(context, 'agreeRetention');
    const before = required('before', query.instant('before'), 'name the instant before which rows may go');
    const store = ofStore();
    const { tooOldBefore } = store.status();
    if (tooOldBefore === null || before > tooOldBefore) {
      const remedy = tooOldBefore === null ? 'there is nothing to agree to' : `use ${tooOldBefore} or earlier`;
      throw new QueryError('before', String(before), 'is later than rows are too old to be kept', remedy);
    }
    await store.agree(before);
    return context.json(store.status());
  });
  return api;
}
