import { defineMetrics } from '@floorwatch/runtime';
import { collectDefaultMetrics, Registry } from 'prom-client';

import type { AgentView } from './agent-view.ts';
import type { CommitTimes } from './commit-times.ts';
import { METRICS } from './metric-list.ts';

/** What all names begin with. */
export const PREFIX = 'floorwatch_agent_';

/** The agent's metrics for Prometheus. Making the view costs something, so one scrape makes one. */
export class Metrics {
  readonly #registry = new Registry();
  #view: AgentView | undefined;

  /** @param commitTimes how long commits took. */
  constructor(commitTimes: CommitTimes) {
    this.#registry.registerMetric(commitTimes.histogram);
    collectDefaultMetrics({ register: this.#registry, prefix: PREFIX });
    defineMetrics(this.#registry, PREFIX, METRICS, () => this.#view!);
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  /** The text that Prometheus reads. */
  async render(view: AgentView): Promise<string> {
    this.#view = view;
    return this.#registry.metrics();
  }
}
