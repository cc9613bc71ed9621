import { Registry } from 'prom-client';
import { expect, test } from 'vitest';

import { defineMetrics, type Metric } from '@floorwatch/runtime';

interface View {
  taken: number | undefined;
  byReason: Readonly<Record<string, number>>;
}

const TABLE: readonly Metric<View>[] = [
  { name: 'taken_total', help: 'Taken', read: ({ taken }) => taken },
  { name: 'waiting', help: 'Waiting', read: ({ taken }) => taken },
  {
    name: 'refused_total',
    help: 'Refused',
    labels: ['reason'],
    read: ({ byReason }) => Object.entries(byReason).map(([reason, count]) => [{ reason }, count] as const),
  },
];

async function scraper(first: View) {
  let view = first;
  const registry = new Registry();
  defineMetrics(registry, 'p_', TABLE, () => view);
  return async (next: View) => {
    view = next;
    return (await registry.metrics()).split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  };
}

test('each scrape has the values of that moment, and counters are not added up', async () => {
  const scrape = await scraper({ taken: 1, byReason: {} });
  const view = { taken: 3, byReason: { full: 2 } };
  const lines = ['p_taken_total 3', 'p_waiting 3', 'p_refused_total{reason="full"} 2'];
  expect(await scrape(view)).toEqual(lines);
  expect(await scrape(view)).toEqual(lines);
});

test('what is not known has no sample, not even one of before', async () => {
  const scrape = await scraper({ taken: 3, byReason: {} });
  await scrape({ taken: 3, byReason: { full: 2 } });
  expect(await scrape({ taken: undefined, byReason: {} })).toEqual([]);
});

test('a name that ends in _total is a counter', async () => {
  const registry = new Registry();
  defineMetrics(registry, 'p_', TABLE, () => ({ taken: 1, byReason: {} }));
  const types = (await registry.getMetricsAsJSON()).map(({ name, type }) => [name, type]);
  expect(types).toEqual([
    ['p_taken_total', 'counter'],
    ['p_waiting', 'gauge'],
    ['p_refused_total', 'counter'],
  ]);
});
