import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { gzipSync } from 'node:zlib';

import { afterEach, beforeEach, expect, it } from 'vitest';

import { collectionsIn, seriesOf } from '../../src/evaluate/labelled-series.ts';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'labelled-series-'));
  mkdirSync(path.join(folder, 'one/data/kind'), { recursive: true });
  mkdirSync(path.join(folder, 'not-a-collection'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function put(name: string, text: string, labels: object): void {
  writeFileSync(path.join(folder, 'one/data', name), gzipSync(text));
  writeFileSync(path.join(folder, 'one/labels.json'), JSON.stringify(labels));
}

it('finds the folders that have labels and data', () => {
  put('a.csv.gz', 'timestamp,value\n', { a: {} });
  expect(collectionsIn(folder)).toEqual(['one']);
});

it('reads times as UTC, an empty value as missing, and names with or without a folder', () => {
  put('kind/b.csv.gz', 'timestamp,value\n2026-01-05 00:00:00,1.5\n2026-01-05 00:05:00,\n', { 'kind/b.csv': [] });
  const [series] = [...seriesOf(path.join(folder, 'one'))];
  expect(series?.name).toBe('kind/b.csv');
  expect([...(series?.times ?? [])]).toEqual([Date.UTC(2026, 0, 5), Date.UTC(2026, 0, 5, 0, 5)]);
  expect([...(series?.values ?? [])]).toEqual([1.5, Number.NaN]);
});

it('takes series without times as one reading per minute', () => {
  put('c.csv.gz', 'part,value\n0,1\n1,2\n', { c: {} });
  const [series] = [...seriesOf(path.join(folder, 'one'))];
  expect([...(series?.times ?? [])]).toEqual([0, 60_000]);
  expect(series?.keys).toEqual(['0', '1']);
});

it('a file without a value column is an error that names it', () => {
  put('d.csv.gz', 'timestamp,reading\n', { d: {} });
  expect(() => [...seriesOf(path.join(folder, 'one'))]).toThrow(/d\.csv\.gz.*"value"/);
});

it.each([
  [
    'e.csv.gz',
    'timestamp,value\n2026-01-05 00:00:00,1\n2026-01-05 00:05:00,abc\n',
    /e\.csv\.gz: row 3: "abc" is no number/,
  ],
  ['f.csv.gz', 'timestamp,value\nyesterday,1\n', /f\.csv\.gz: row 2: "yesterday" is no time/],
])('a cell that means nothing is an error that names file and row: %s', (name, text, message) => {
  put(name, text, { [name.slice(0, 1)]: {} });
  expect(() => [...seriesOf(path.join(folder, 'one'))]).toThrow(message);
});

it('files that cannot be read, and labels that are none, are errors that name them', () => {
  put('g.csv.gz', '', { g: {}, 'not-there': {} });
  expect(() => [...seriesOf(path.join(folder, 'one'))]).toThrow(/g\.csv\.gz: no column "value"/);
  writeFileSync(path.join(folder, 'one/data/g.csv.gz'), 'timestamp,value\n');
  expect(() => [...seriesOf(path.join(folder, 'one'))]).toThrow(/g\.csv\.gz cannot be read/);
  put('g.csv.gz', 'timestamp,value\n', { 'not-there': {} });
  expect(() => [...seriesOf(path.join(folder, 'one'))]).toThrow(/not-there\.csv\.gz cannot be read/);
  writeFileSync(path.join(folder, 'one/labels.json'), '["a"]');
  expect(() => [...seriesOf(path.join(folder, 'one'))]).toThrow(/labels\.json must be an object/);
  writeFileSync(path.join(folder, 'one/labels.json'), '{');
  expect(() => [...seriesOf(path.join(folder, 'one'))]).toThrow(/labels\.json cannot be read/);
  expect(() => collectionsIn(path.join(folder, 'nowhere'))).toThrow(/nowhere cannot be read/);
});

it('a byte-order mark, blanks in the header and other words for missing are understood', () => {
  put('h.csv.gz', '\uFEFFtimestamp, value\r\n2026-01-05 00:00:00,NaN\r\n2026-01-05 00:05:00, 2\r\n', { h: {} });
  const [series] = [...seriesOf(path.join(folder, 'one'))];
  expect([...(series?.values ?? [])]).toEqual([Number.NaN, 2]);
});
