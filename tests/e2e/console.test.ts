import { copyFile, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { lookForServer } from '@floorwatch/servers';
import { chromium, type Page } from 'playwright-core';
import { expect, it } from 'vitest';

import { repositoryRoot, type Resources, resourcesPerTest, skippedIf, waitFor } from '../support/index.ts';
import { Floor } from './floor.ts';

const browser = await lookForServer('chromium');
const skipped = skippedIf(browser === undefined, 'no Chromium was found');
const resources = resourcesPerTest();

/** Set to 1, the floor runs for some minutes with faults of its own, and pictures of it are put into docs/. */
const forDocs = process.env['FLOORWATCH_SCREENSHOTS'] !== undefined;
/** A sensor whose shift has come and gone, and three that are off when the last one shifts. */
const FAULTS_FOR_DOCS = [
  { type: 'shift', device: 'oven-01', metric: 'temperature', after: '200s', lasts: '1m', magnitude: -25 },
  { type: 'noise', device: 'compressor-01', metric: 'vibration', after: '300s', lasts: '5m', magnitude: 2 },
  { type: 'stuck', device: 'chiller-01', metric: 'flow', after: '310s', lasts: '5m' },
  { type: 'gap', device: 'press-02', metric: 'pressure', after: '320s', lasts: '5m' },
  { type: 'shift', device: 'pump-01', metric: 'pressure', after: '340s', lasts: '1m', magnitude: 3 },
];

const LAST_FOR_DOCS = 'pump-01 · pressure';

/** Faults come within the first minute; a busy machine takes longer. */
const TIMEOUT_MS = forDocs ? 720_000 : 180_000;
const WAIT = { timeoutMs: 90_000, intervalMs: 250 };

it.skipIf(browser === undefined)(
  `a simulated floor shows its sensors, moving charts and an injected anomaly${skipped}`,
  async () => {
    const floor = await Floor.start(resources, { store: 'duckdb' });
    const truth = path.join(await resources.directory(), 'truth.ndjson');
    const faults = path.join(await resources.directory(), 'faults.ndjson');
    await writeFile(faults, FAULTS_FOR_DOCS.map((fault) => JSON.stringify(fault)).join('\n'));
    const size = forDocs ? ['--machines', '12', '--faults', faults] : ['--machines', '8'];
    const simulator = floor.simulator('run', ...size, '--truth', truth);
    const problems: string[] = [];
    const page = await openPage(resources, floor.apiUrl, problems);

    await waitFor('the floor shows its sensors', async () => (await page.locator('.device li a').count()) >= 20, WAIT);
    const anomalies = page.locator('section.attention .anomaly');
    const awaited = forDocs ? anomalies.filter({ hasText: LAST_FOR_DOCS }) : anomalies;
    await waitFor('an anomaly is shown', async () => (await awaited.count()) > 0, {
      ...WAIT,
      timeoutMs: forDocs ? 600_000 : WAIT.timeoutMs,
    });
    expect(await anomalies.locator('.explanation').first().textContent()).toMatch(/^\w+ of \S+ (is|has) .*\d.*\.$/);
    // The tiles count a moment later.
    if (forDocs) await page.waitForTimeout(1_500);
    await shoot(page, 'console.png');

    const shifted = page.locator('.device', { hasText: 'oven-01' }).locator('li a', { hasText: 'temperature' });
    await (forDocs ? shifted : anomalies.locator('a')).first().click();
    const newest = page.locator('.reading');
    const before = await newest.textContent();
    await waitFor('the newest value moves', async () => (await newest.textContent()) !== before, WAIT);
    await waitFor('the chart shows readings', async () => (await page.locator('.chart canvas').count()) === 1, WAIT);
    const summary = page.locator('#chart-summary');
    const points = async (): Promise<string> => (await summary.textContent()) ?? '';
    const seen = await points();
    await waitFor('the chart moves on', async () => (await points()) !== seen, WAIT);
    await waitFor(
      'the table lists the anomaly',
      async () => (await page.locator('.sensor-page table').count()) >= 1,
      WAIT,
    );
    await shoot(page, 'console-sensor.png');

    await page
      .getByRole('link', { name: /^Anomalies/ })
      .first()
      .click();
    await waitFor(
      'the list has anomalies',
      async () => (await page.locator('.anomaly .explanation').count()) >= 1,
      WAIT,
    );
    await page.setViewportSize({ width: 390, height: 844 });
    const overflow = await page.evaluate('document.documentElement.scrollWidth - document.documentElement.clientWidth');
    expect(overflow, 'pixels that a phone would have to scroll sideways').toBe(0);

    expect(problems).toEqual([]);
    expect(simulator.isRunning).toBe(true);
    expect((await simulator.stop('SIGINT')).code).toBe(0);
  },
  TIMEOUT_MS,
);

/** Opens the page in a real browser; what the browser complains about goes into `problems`. */
async function openPage(owner: Resources, url: string, problems: string[]): Promise<Page> {
  const directory = await owner.directory();
  const args = [
    '--no-sandbox',
    '--disable-gpu',
    '--disable-quic',
    '--no-first-run',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
  ];
  const context = await chromium.launchPersistentContext(directory, {
    executablePath: browser?.path ?? '',
    args,
    viewport: { width: 1440, height: 1000 },
  });
  owner.defer(async () => context.close());
  const page = context.pages()[0] ?? (await context.newPage());
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning')
      problems.push(`${message.type()}: ${message.text()}`);
  });
  page.on('pageerror', (error) => problems.push(`uncaught: ${error.message}`));
  page.on('requestfailed', (request) => {
    // Leaving a page ends its live feed.
    if (request.failure()?.errorText !== 'net::ERR_ABORTED') problems.push(`failed: ${request.url()}`);
  });
  await page.goto(url);
  return page;
}

/** Takes a picture of what can be seen, and keeps it in docs/ when that was asked for. */
async function shoot(page: Page, name: string): Promise<void> {
  const file = path.join(await resources.directory(), name);
  await page.screenshot({ path: file });
  if (forDocs) await copyFile(file, path.join(repositoryRoot, 'docs', name));
}
