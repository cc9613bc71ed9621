import type { Metric } from '@floorwatch/runtime';

import type { FloorView } from './floor-view.ts';
import type { LiveFeed } from './live-feed.ts';

/** The metrics of this stage. */
export const SERVE_METRICS: readonly Metric<{ readonly view: FloorView; readonly feed: LiveFeed }>[] = [
  { name: 'floor_sensors', help: 'Sensors in the floor view', read: ({ view }) => view.counts().sensors },
  { name: 'floor_gateways', help: 'Gateways in the floor view', read: ({ view }) => view.counts().gateways },
  {
    name: 'floor_open_anomalies',
    help: 'Open episodes in the floor view',
    read: ({ view }) => view.counts().openAnomalies,
  },
  {
    name: 'floor_left_out_total',
    help: 'Records that the floor view had no room for',
    read: ({ view }) => view.counts().leftOut,
  },
  {
    name: 'floor_gateways_cut',
    help: 'Gateways with more sensors than the floor view has room for',
    read: ({ view }) => view.counts().gatewaysCut,
  },
  { name: 'live_clients', help: 'Pages that listen to the live feed', read: ({ feed }) => feed.counts().clients },
  {
    name: 'live_clients_cut_total',
    help: 'Pages cut because they read too slowly',
    read: ({ feed }) => feed.counts().cut,
  },
  {
    name: 'live_clients_displaced_total',
    help: 'Pages cut to make room for newer ones',
    read: ({ feed }) => feed.counts().displaced,
  },
  {
    name: 'live_anomalies_left_out_total',
    help: 'Changes of episodes left out of the live feed in a storm',
    read: ({ feed }) => feed.counts().anomaliesLeftOut,
  },
  {
    name: 'live_clients_resumed_total',
    help: 'Pages that came back and got what they had missed',
    read: ({ feed }) => feed.counts().resumed,
  },
  {
    name: 'live_resets_total',
    help: 'Times that a page was told to read everything anew',
    read: ({ feed }) => feed.counts().resets,
  },
  {
    name: 'live_remembered_anomalies',
    help: 'Episodes that can be told again',
    read: ({ feed }) => feed.counts().remembered,
  },
];
