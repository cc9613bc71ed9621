import { writeFile } from 'node:fs/promises';
import path from 'node:path';

import type { AnomalyRow, Page, WindowView } from '@floorwatch/contracts';
import { freePort } from '@floorwatch/servers';
import { stringify } from 'yaml';

import { type ChildProgram, fetchAgain, programs, type Resources, waitFor } from '../../support/index.ts';
import { GATEWAY } from './agent-process.ts';
import { type ChaosStore, DuckdbFile } from './chaos-store.ts';
import { addToWindow, windowKey, type WindowSums } from './ledger.ts';

const PAGE_ROWS = 5_000;
/** Later than any event time. */
const FAR = '4102444800000';

export interface ProcessorOptions {
  /** How long windows stay open behind the gateway's watermark, in seconds. */
  readonly latenessSeconds: number;
  /** Default: a DuckDB file of its own. */
  readonly store?: ChaosStore;
  /** Laid over the harness's own configuration, field by field. */
  readonly config?: Readonly<Record<string, unknown>>;
}

/** How far a processor has come; counts are since its start. */
export interface ProcessorProgress {
  /** Sequence of the last message that it has applied, of the partition that is furthest. */
  readonly position: number;
  readonly batches: number;
  readonly duplicates: number;
  /** Rows that the store has confirmed. */
  readonly written: number;
  /** Rows that it has not. */
  readonly unsent: number;
  readonly deadLetters: number;
}

/** The part of `/api/v1/processor` that tests rely on. */
interface ProcessorStatus {
  readonly deadLetters: { readonly open: number };
  readonly partitions: readonly {
    readonly stream: { readonly position: number };
    readonly counts: { readonly batches: number; readonly duplicates: number };
    readonly outbox: { readonly rows: number };
    readonly store: { readonly written: number };
  }[];
}

/** The built processor with a store of its own. */
export class ProcessorProcess {
  readonly url: string;
  readonly dataDir: string;
  readonly store: ChaosStore;
  readonly #resources: Resources;
  readonly #file: string;
  #program: ChildProgram;

  private constructor(resources: Resources, parts: Pick<ProcessorProcess, 'url' | 'dataDir' | 'store'>, file: string) {
    this.#resources = resources;
    this.#file = file;
    this.url = parts.url;
    this.dataDir = parts.dataDir;
    this.store = parts.store;
    this.#program = this.#spawn();
  }

  static async start(resources: Resources, natsUrl: string, options: ProcessorOptions): Promise<ProcessorProcess> {
    const folder = await resources.directory();
    const port = await freePort();
    const file = path.join(folder, 'processor.yaml');
    const dataDir = path.join(folder, 'processor');
    const store = options.store ?? (await DuckdbFile.create(resources));
    const config = {
      nats: { servers: [natsUrl] },
      dataDir,
      store: store.config,
      windows: { sizes: ['1m'], allowedLatenessSeconds: options.latenessSeconds },
      checkpoint: { intervalSeconds: 0.5 },
      http: { port },
      ...options.config,
    };
    await writeFile(file, stringify(config));
    if (store.needsSetUp) {
      const setUp = resources.program(programs.processor, ['set-up', '--config', file]);
      const { code } = await setUp.exited;
      if (code !== 0) throw new Error(`set-up ended with ${code}:\n${setUp.output()}`);
    }
    const processor = new ProcessorProcess(resources, { url: `http://127.0.0.1:${port}`, dataDir, store }, file);
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

  /** Starts it again, without waiting until it is ready. */
  spawn(): void {
    this.#program = this.#spawn();
  }

  /** Starts it again. */
  async restart(): Promise<void> {
    this.spawn();
    await this.ready();
  }

  /** @throws Error if it does not answer. */
  async progress(): Promise<ProcessorProgress> {
    const { partitions, deadLetters } = (await (
      await fetchAgain(`${this.url}/api/v1/processor`)
    ).json()) as ProcessorStatus;
    const sum = (of: (partition: ProcessorStatus['partitions'][number]) => number): number =>
      partitions.reduce((total, partition) => total + of(partition), 0);
    return {
      position: Math.max(...partitions.map(({ stream }) => stream.position)),
      batches: sum(({ counts }) => counts.batches),
      duplicates: sum(({ counts }) => counts.duplicates),
      written: sum(({ store }) => store.written),
      unsent: sum(({ outbox }) => outbox.rows),
      deadLetters: deadLetters.open,
    };
  }

  /** Has the product's own command compare what gateways counted with what is stored. @returns what is wrong, in its words. */
  async verify(): Promise<string[]> {
    const program = this.#resources.program(programs.processor, ['verify', '--config', this.#file]);
    const { code } = await program.exited;
    return code === 0 ? [] : [`verify ended with ${code}: ${program.stdout}${program.stderr}`];
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
    const metrics = await (await fetchAgain(`${this.url}/metrics`)).text();
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
      const response = await fetchAgain(`${this.url}/api/v1/${address}?${parameters}`);
      if (!response.ok)
        throw new Error(`${address}?${parameters} was answered ${response.status}: ${await response.text()}`);
      const answer = (await response.json()) as Page<T>;
      items.push(...answer.items);
      after = answer.next;
    } while (after !== null);
    return items;
  }
}
