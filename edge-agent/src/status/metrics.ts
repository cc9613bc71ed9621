import { LANES } from '@floorwatch/contracts';
import { collectDefaultMetrics, Counter, Gauge, Registry } from 'prom-client';

import type { AgentView } from './agent-view.ts';
import type { CommitTimes } from './commit-times.ts';
import { BY_KIND, BY_LANE, PLAIN } from './metric-list.ts';

/** What all names begin with. */
export const PREFIX = 'floorwatch_agent_';

/** The agent's metrics for Prometheus. Values are taken when someone asks, so that counting costs the pipeline nothing. */
export class Metrics {
  readonly #registry = new Registry();
  readonly #setters: ((view: AgentView) => void)[] = [];

  /** @param commitTimes how long commits took. */
  constructor(commitTimes: CommitTimes) {
    this.#registry.registerMetric(commitTimes.histogram);
    collectDefaultMetrics({ register: this.#registry, prefix: PREFIX });
    for (const [name, help, value] of PLAIN) {
      const set = this.#define(name, help, []);
      this.#setters.push((view) => set({}, value(view)));
    }
    for (const [name, help, value] of BY_LANE) {
      const set = this.#define(name, help, ['lane']);
      this.#setters.push((view) => LANES.forEach((lane) => set({ lane }, value(view.lanes[lane]))));
    }
    for (const [name, label, help, counts] of BY_KIND) {
      const set = this.#define(name, help, [label]);
      this.#setters.push((view) => {
        for (const [kind, count] of Object.entries(counts(view))) set({ [label]: kind }, count);
      });
    }
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  /** The text that Prometheus reads. */
  async render(view: AgentView): Promise<string> {
    for (const set of this.#setters) set(view);
    return this.#registry.metrics();
  }

  /** Counters are kept by the pipeline; here they only take the value that they have there. */
  #define(name: string, help: string, labelNames: readonly string[]): Setter {
    const options = { name: PREFIX + name, help, labelNames: [...labelNames], registers: [this.#registry] };
    if (!name.endsWith('_total')) {
      const gauge = new Gauge(options);
      return (labels, value) => (value === undefined ? gauge.remove(labels) : gauge.set(labels, value));
    }
    const counter = new Counter(options);
    return (labels, value) => {
      counter.remove(labels);
      if (value !== undefined) counter.inc(labels, value);
    };
  }
}

type Setter = (labels: Record<string, string>, value: number | undefined) => void;
