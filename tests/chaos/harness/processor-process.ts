import { writeFile } from 'node:fs/promises';
import path from 'node:path';

import type { AnomalyRow, Page, WindowView } from '@floorwatch/contracts';
import { freePort } from '@floorwatch/servers';
import { stringify } from 'yaml';

import { type ChildProgram, programs, type Resources, waitFor } from '../../support/index.ts';
import { GATEWAY } from './agent-process.ts';
import { addToWindow, windowKey, type WindowSums } from './ledger.ts';

const PAGE_ROWS = 5_000;
/** Later than any event time. */
const FAR = '4102444800000';

/** The built processor with a DuckDB file as its store. */
export class ProcessorProcess {
  readonly url: string;
  readonly #resources: Resources;
  readonly #file: string;
  #program: ChildProgram;

  private constructor(resources: Resources, file: string, url: string) {
    this.#resources = resources;
    this.#file = file;
    this.url = url;
    this.#program = this.#spawn();
  }

  /** @param latenessSeconds how long windows stay open behind the gateway's watermark. */
  static async start(resources: Resources, natsUrl: string, latenessSeconds: number): Promise<ProcessorProcess> {
    const folder = await resources.directory();
    const port = await freePort();
    const file = path.join(folder, 'processor.yaml');
    const config = {
      nats: { servers: [natsUrl] },
      dataDir: path.join(folder, 'processor'),
      store: { kind: 'duckdb', file: path.join(folder, 'store.duckdb'), retentionDays: 0 },
      windows: { sizes: ['1m'], allowedLatenessSeconds: latenessSeconds },
      checkpoint: { intervalSeconds: 0.5 },
      http: { port },
    };
    await writeFile(file, stringify(config));
    const processor = new ProcessorProcess(resources, file, `http://127.0.0.1:${port}`);
    await processor.ready();
    return processor;
  }

  get program(): ChildProgram {
    return this.#program;
  }

  /** Waits until it answers and is well. */
  async ready(): Promise<void> {
    const program = this.#program;
    await waitFor(
      'the processor is well or has ended',
      async () => !program.isRunning || (await fetch(`${this.url}/healthz`)).ok,
      { timeoutMs: 60_000 },
    );
    if (!program.isRunning) throw new Error(`the processor has ended:\n${program.output()}`);
  }

  async kill9(): Promise<void> {
    await this.#program.kill9();
  }

  /** Starts it again. */
  async restart(): Promise<void> {
    this.#program = this.#spawn();
    await this.ready();
  }

  /** The minutes of these sensors (`device/metric`) as it tells them, and how many are sealed and incomplete. */
  async windows(
    sensors: Iterable<string>,
  ): Promise<{ readonly sums: WindowSums; readonly sealed: number; readonly incomplete: number }> {
    const sums: WindowSums = new Map();
    let [sealed, incomplete] = [0, 0];
    for (const sensor of sensors) {
      const query = { sensor: `${GATEWAY.site}/${GATEWAY.gateway}/${sensor}`, size: '1m', from: '0', to: FAR };
      for (const window of await this.#list<WindowView>('windows', query)) {
        const { n, mean, min, max } = window;
        addToWindow(sums, windowKey(sensor, window.start), { n, sum: n * mean, min, max });
        if (!window.open) sealed += 1;
        if (window.incomplete) incomplete += 1;
      }
    }
    return { sums, sealed, incomplete };
  }

  /** @param from event time of the oldest opening asked for. */
  async anomalies(from = 0): Promise<AnomalyRow[]> {
    return this.#list('anomalies', { from: String(from), to: FAR });
  }

  /** The values of a metric such as `alarms_total`, by their labels. */
  async metric(name: string): Promise<Map<string, number>> {
    const metrics = await (await fetch(`${this.url}/metrics`)).text();
    const lines = metrics.matchAll(new RegExp(`^floorwatch_processor_${name}(?:\\{(.*)\\})? (\\S+)$`, 'gm'));
    return new Map([...lines].map(([, labels = '', value]) => [labels, Number(value)]));
  }

  #spawn(): ChildProgram {
    return this.#resources.program(programs.processor, ['run', '--config', this.#file]);
  }

  async #list<T>(address: string, query: Readonly<Record<string, string>>): Promise<T[]> {
    const items: T[] = [];
    let after: string | null = null;
    do {
      const page: Readonly<Record<string, string>> = after === null ? {} : { after };
      const parameters = String(new URLSearchParams({ ...query, limit: String(PAGE_ROWS), ...page }));
      const response = await fetch(`${this.url}/api/v1/${address}?${parameters}`);
      if (!response.ok)
        throw new Error(`${address}?${parameters} was answered ${response.status}: ${await response.text()}`);
      const answer = (await response.json()) as Page<T>;
      items.push(...answer.items);
      after = answer.next;
    } while (after !== null);
    return items;
  }
}
