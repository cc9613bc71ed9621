import type { DashboardModel } from './dashboard-model.ts';
import { floorOverview } from './floor-overview.ts';
import { sensor } from './sensor.ts';

/** Every dashboard, by the name of its file in `dashboards/grafana/dashboards`. */
export const grafanaDashboards = (): Readonly<Record<string, DashboardModel>> => ({
  'floor-overview.json': floorOverview(),
  'sensor.json': sensor(),
});

/** The text of each file, as it is committed. */
export const grafanaFiles = (): Readonly<Record<string, string>> =>
  Object.fromEntries(
    Object.entries(grafanaDashboards()).map(([name, dashboard]) => [name, `${JSON.stringify(dashboard, null, 2)}\n`]),
  );
