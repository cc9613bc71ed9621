import { Counter, Gauge, type Registry } from 'prom-client';

import type { FloorView } from './floor-view.ts';
import type { LiveFeed } from './live-feed.ts';

/** Adds the metrics of this stage; each is read when it is asked for. */
export function registerMetrics(registry: Registry, view: FloorView, feed: LiveFeed): void {
  const registers = [registry];
  const prefix = 'floorwatch_processor_';
  const gauge = (name: string, help: string, value: () => number): void => {
    void new Gauge({
      name: `${prefix}${name}`,
      help,
      registers,
      collect() {
        this.set(value());
      },
    });
  };
  const counter = (name: string, help: string, value: () => number): void => {
    void new Counter({
      name: `${prefix}${name}`,
      help,
      registers,
      collect() {
        this.reset();
        this.inc(value());
      },
    });
  };
  gauge('floor_sensors', 'Sensors in the floor view', () => view.counts().sensors);
  gauge('floor_gateways', 'Gateways in the floor view', () => view.counts().gateways);
  gauge('floor_open_anomalies', 'Open episodes in the floor view', () => view.counts().openAnomalies);
  counter('floor_left_out_total', 'Records that the floor view had no room for', () => view.counts().leftOut);
  gauge(
    'floor_gateways_cut',
    'Gateways with more sensors than the floor view has room for',
    () => view.counts().gatewaysCut,
  );
  gauge('live_clients', 'Pages that listen to the live feed', () => feed.counts().clients);
  counter('live_clients_cut_total', 'Pages cut because they read too slowly', () => feed.counts().cut);
  counter('live_clients_displaced_total', 'Pages cut to make room for newer ones', () => feed.counts().displaced);
  counter(
    'live_anomalies_left_out_total',
    'Changes of episodes left out of the live feed in a storm',
    () => feed.counts().anomaliesLeftOut,
  );
  counter(
    'live_clients_resumed_total',
    'Pages that came back and got what they had missed',
    () => feed.counts().resumed,
  );
  counter('live_resets_total', 'Times that a page was told to read everything anew', () => feed.counts().resets);
  gauge('live_remembered_anomalies', 'Episodes that can be told again', () => feed.counts().remembered);
}
