import {
  BigValueColorMode,
  BigValueGraphMode,
  GraphDrawStyle,
  StackingMode,
} from '@grafana/grafana-foundation-sdk/common';
import { StackingConfigBuilder } from '@grafana/grafana-foundation-sdk/common';
import { ThresholdsConfigBuilder, ThresholdsMode } from '@grafana/grafana-foundation-sdk/dashboard';
import { PanelBuilder as StatBuilder } from '@grafana/grafana-foundation-sdk/stat';
import { PanelBuilder as TableBuilder } from '@grafana/grafana-foundation-sdk/table';
import { PanelBuilder as TimeseriesBuilder } from '@grafana/grafana-foundation-sdk/timeseries';

import { type DashboardModel, dashboardModel } from './dashboard-model.ts';
import { DATA_SOURCE, fluxTarget, OPEN_SINCE_MAX, orElse, ROWS, select, SENSOR_TAGS, toTime } from './flux-query.ts';
import { ANOMALY_HEADINGS, COLOURS, columns, inWords, SENSOR_LINK, SEVERITY_WORDS, STATE_WORDS } from './looks.ts';
import { nameVariable, sizeVariable } from './variables.ts';

const FLOOR = ['site', 'gateway'] as const;

/** A sensor that has no reading for longer than this and a window is unknown. */
const UNKNOWN_AFTER = '10m';

const OPEN_ANOMALIES = `${select({
  measurement: 'anomaly',
  tags: FLOOR,
  fields: ['phase', 'severity', ...Object.keys(ANOMALY_HEADINGS)],
  lookBack: OPEN_SINCE_MAX,
})}
${ROWS}
  |> filter(fn: (r) => r.phase != "closed")`;

const names = SENSOR_TAGS.map((tag) => `${tag}: r.${tag}`).join(', ');
const tagList = SENSOR_TAGS.map((tag) => `"${tag}"`).join(', ');

/** The newest window of every sensor, with the worst of its open anomalies as its state. */
const SENSOR_STATES = `import "date"

newest = ${select({ measurement: 'window', tags: FLOOR, fields: ['last', 'last_at', 'mean', 'sd', 'unit'] })}
  |> last()
${ROWS}
  |> filter(fn: (r) => exists r.last and exists r.last_at)

open = ${OPEN_ANOMALIES}
  |> map(fn: (r) => ({${names}, state: if r.severity == "critical" then 2.0 else 1.0}))

silent = int(v: ${UNKNOWN_AFTER}) + int(v: \${size})
heard = newest
  |> map(fn: (r) => ({${names}, state: if int(v: v.timeRangeStop) - int(v: r.last_at) * 1000000 > silent then -1.0 else 0.0}))

states = union(tables: [open, heard])
  |> group(columns: [${tagList}])
  |> max(column: "state")
  |> group()

join(tables: {newest: newest, states: states}, on: [${tagList}])
  |> map(fn: (r) => ({${names}, state: r.state, last: r.last, unit: ${orElse('unit', '""')}, last_at: ${toTime('last_at')}, mean: r.mean, sd: r.sd}))
  |> sort(columns: ["state"], desc: true)`;

const openTable = `import "date"

${OPEN_ANOMALIES}
  |> map(fn: (r) => ({r with unit: ${orElse('unit', '""')}, expected_low: ${orElse('expected_low', 'float(v: "NaN")')}, expected_high: ${orElse('expected_high', 'float(v: "NaN")')}}))
  |> keep(columns: ["_time", ${tagList}, "kind", "severity", "value", "worst_value", "unit", "expected_low", "expected_high", "score", "readings", "explanation"])
  |> sort(columns: ["_time"], desc: true)
  |> limit(n: 500)`;

const openCount = (severity: string): string => `import "date"

${OPEN_ANOMALIES}
  |> filter(fn: (r) => r.severity == "${severity}")
  |> count(column: "severity")
  |> rename(columns: {severity: "open"})`;

const sensorCount = `${select({ measurement: 'window', tags: FLOOR, fields: ['n'] })}
  |> last()
  |> group()
  |> count()
  |> rename(columns: {_value: "sensors"})`;

const gatewayCount = `${select({ measurement: 'gateway', tags: FLOOR, fields: ['sensors'] })}
  |> last()
  |> group()
  |> count()
  |> rename(columns: {_value: "gateways"})`;

const anomalyRate = `${select({ measurement: 'anomaly', tags: FLOOR, fields: ['severity'] })}
  |> duplicate(column: "_value", as: "severity")
  |> group(columns: ["severity"])
  |> aggregateWindow(every: v.windowPeriod, fn: count, createEmpty: true, timeSrc: "_start")
  |> keep(columns: ["_time", "_value", "severity"])`;

const readingRate = `${select({ measurement: 'window', tags: FLOOR, fields: ['n'] })}
  |> group(columns: ["site", "gateway"])
  |> aggregateWindow(every: v.windowPeriod, fn: sum, createEmpty: false, timeSrc: "_start")
  |> map(fn: (r) => ({r with _value: r._value / (float(v: int(v: v.windowPeriod)) / 1000000000.0)}))
  |> keep(columns: ["_time", "_value", "site", "gateway"])`;

const sumOf = (measurement: 'late' | 'window', field: string, name: string): string =>
  `${select({ measurement, tags: FLOOR, fields: [field] })}
  |> group()
  |> aggregateWindow(every: v.windowPeriod, fn: sum, createEmpty: false, timeSrc: "_start")
  |> keep(columns: ["_time", "_value"])
  |> rename(columns: {_value: "${name}"})`;

const gatewayTable = `${select({ measurement: 'gateway', tags: FLOOR, fields: ['version', 'clock', 'sensors', 'started_at'] })}
  |> last()
${ROWS}
  |> map(fn: (r) => ({site: r.site, gateway: r.gateway, reported: r._time, started: ${toTime('started_at')}, version: r.version, clock: r.clock, sensors: r.sensors}))
  |> sort(columns: ["site", "gateway"])`;

const count = (title: string, query: string, colour?: string): StatBuilder => {
  const stat = new StatBuilder()
    .title(title)
    .datasource(DATA_SOURCE)
    .withTarget(fluxTarget('A', query))
    .noValue('0')
    .decimals(0)
    .graphMode(BigValueGraphMode.None)
    .span(6)
    .height(4);
  if (colour === undefined) return stat.colorMode(BigValueColorMode.None);
  return stat.colorMode(BigValueColorMode.Background).thresholds(
    new ThresholdsConfigBuilder().mode(ThresholdsMode.Absolute).steps([
      { value: null, color: COLOURS.normal },
      { value: 1, color: colour },
    ]),
  );
};

/** The whole floor on one page: what is wrong, where, and whether the data is complete. */
export function floorOverview(): DashboardModel {
  return dashboardModel({
    uid: 'floorwatch-overview',
    title: 'Floor overview',
    description: 'The state of every sensor, open anomalies, and whether the data is complete',
    variables: [nameVariable('site', true), nameVariable('gateway', true), sizeVariable()],
    panels: [
      count('Open critical anomalies', openCount('critical'), COLOURS.critical),
      count('Open warnings', openCount('warning'), COLOURS.warning),
      count('Sensors with data', sensorCount).description('Sensors with a window in the time range'),
      count('Gateways reporting', gatewayCount).description('Gateways that reported in the time range'),
      new TableBuilder()
        .title('Open anomalies')
        .description(`Opened at most ${OPEN_SINCE_MAX} before the time range, the latest first, at most 500`)
        .datasource(DATA_SOURCE)
        .withTarget(fluxTarget('A', openTable))
        .withTransformation(
          columns({
            _time: 'Opened',
            severity: 'Severity',
            site: 'Site',
            gateway: 'Gateway',
            device: 'Device',
            metric: 'Metric',
            kind: 'Kind',
            ...ANOMALY_HEADINGS,
          }),
        )
        .overrideByName('Severity', inWords(SEVERITY_WORDS))
        .overrideByName('Device', [SENSOR_LINK])
        .overrideByName('Why', [{ id: 'custom.minWidth', value: 300 }])
        .noValue('no open anomalies')
        .span(24)
        .height(8),
      new TableBuilder()
        .title('Sensors by state')
        .description(
          `By the newest sealed window; unknown: no reading for ${UNKNOWN_AFTER} and a window before the end of the time range`,
        )
        .datasource(DATA_SOURCE)
        .withTarget(fluxTarget('A', SENSOR_STATES))
        .withTransformation(
          columns({
            state: 'State',
            site: 'Site',
            gateway: 'Gateway',
            device: 'Device',
            metric: 'Metric',
            last: 'Last value',
            unit: 'Unit',
            last_at: 'Measured',
            mean: 'Mean',
            sd: 'Deviation',
          }),
        )
        .overrideByName('State', inWords(STATE_WORDS))
        .overrideByName('Device', [SENSOR_LINK])
        .noValue('no windows yet in this time range')
        .span(24)
        .height(10),
      new TimeseriesBuilder()
        .title('Anomalies opened')
        .datasource(DATA_SOURCE)
        .interval('1m')
        .withTarget(fluxTarget('A', anomalyRate))
        .displayName('${__field.labels.severity}')
        .drawStyle(GraphDrawStyle.Bars)
        .fillOpacity(60)
        .stacking(new StackingConfigBuilder().mode(StackingMode.Normal))
        .decimals(0)
        .min(0)
        .overrideByName('warning', [{ id: 'color', value: { mode: 'fixed', fixedColor: COLOURS.warning } }])
        .overrideByName('critical', [{ id: 'color', value: { mode: 'fixed', fixedColor: COLOURS.critical } }])
        .noValue('none')
        .span(12)
        .height(8),
      new TimeseriesBuilder()
        .title('Readings per second')
        .description('Readings in sealed windows, by gateway')
        .datasource(DATA_SOURCE)
        .interval('${size}')
        .withTarget(fluxTarget('A', readingRate))
        .displayName('${__field.labels.site} / ${__field.labels.gateway}')
        .unit('short')
        .noValue('no windows yet in this time range')
        .min(0)
        .span(12)
        .height(8),
      new TimeseriesBuilder()
        .title('Late and incomplete')
        .description('Readings that came after their window was sealed, and windows that are known to lack readings')
        .datasource(DATA_SOURCE)
        .interval('${size}')
        .withTarget(fluxTarget('A', sumOf('late', 'readings', 'late readings')))
        .withTarget(fluxTarget('B', sumOf('window', 'incomplete', 'incomplete windows')))
        .drawStyle(GraphDrawStyle.Bars)
        .decimals(0)
        .min(0)
        .noValue('none')
        .span(12)
        .height(8),
      new TableBuilder()
        .title('Gateways')
        .description('The newest report of each gateway in the time range')
        .datasource(DATA_SOURCE)
        .withTarget(fluxTarget('A', gatewayTable))
        .withTransformation(
          columns({
            site: 'Site',
            gateway: 'Gateway',
            reported: 'Reported',
            started: 'Started',
            version: 'Version',
            clock: 'Clock',
            sensors: 'Sensors',
          }),
        )
        .noValue('no gateway has reported in this time range')
        .span(12)
        .height(8),
    ],
  });
}
