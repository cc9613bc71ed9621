import type { Builder } from '@grafana/grafana-foundation-sdk/cog';
import type { AnnotationQuery, DashboardLink, Panel, VariableModel } from '@grafana/grafana-foundation-sdk/dashboard';

/** The version of Grafana's dashboard model that the panels are written in; Grafana converts older ones when it loads them. */
const SCHEMA_VERSION = 42;

/** Columns of Grafana's grid. */
const GRID_COLUMNS = 24;

/** One pointer's position is shown in all charts. */
const SHARED_CROSSHAIR = 1;

/** What makes one dashboard. The pieces come from Grafana's SDK, in the order in which they are shown. */
export interface DashboardOptions {
  /** Part of the dashboard's address; never changes. */
  readonly uid: string;
  readonly title: string;
  readonly description: string;
  readonly variables: readonly Builder<VariableModel>[];
  readonly annotations?: readonly Builder<AnnotationQuery>[];
  readonly links?: readonly Builder<DashboardLink>[];
  readonly panels: readonly Builder<Panel>[];
}

/**
 * The classic model of a dashboard, which every Grafana since version 9 loads from a file. (The SDK's own builder of it is given up in
 * favour of a resource that only new servers know.) Panels fill rows of the grid from left to right and are numbered in that order,
 * so that links to a panel stay the same.
 */
export function dashboardModel({ annotations = [], links = [], panels, variables, ...about }: DashboardOptions) {
  return {
    ...about,
    tags: ['floorwatch'],
    schemaVersion: SCHEMA_VERSION,
    editable: false,
    timezone: 'browser',
    graphTooltip: SHARED_CROSSHAIR,
    time: { from: 'now-3h', to: 'now' },
    refresh: '30s',
    templating: { list: variables.map((variable) => variable.build()) },
    annotations: { list: annotations.map((annotation) => annotation.build()) },
    links: links.map((link) => link.build()),
    panels: layOut(panels.map((panel) => panel.build())),
  };
}

export type DashboardModel = ReturnType<typeof dashboardModel>;

/** Places panels by their width and height; each row of the grid is as high as its highest panel. */
function layOut(panels: readonly Panel[]): Panel[] {
  let [x, y, height] = [0, 0, 0];
  return panels.map((panel, i) => {
    const { w, h } = panel.gridPos ?? { w: GRID_COLUMNS, h: 8 };
    if (x + w > GRID_COLUMNS) [x, y, height] = [0, y + height, 0];
    const gridPos = { x, y, w, h };
    x += w;
    height = Math.max(height, h);
    return Object.assign(panel, { id: i + 1, gridPos });
  });
}
