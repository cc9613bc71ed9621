import { GraphDrawStyle, VisibilityMode } from '@grafana/grafana-foundation-sdk/common';
import {
  AnnotationQueryBuilder,
  DashboardLinkBuilder,
  DashboardLinkType,
  type DynamicConfigValue,
} from '@grafana/grafana-foundation-sdk/dashboard';
import { PanelBuilder as TableBuilder } from '@grafana/grafana-foundation-sdk/table';
import { PanelBuilder as TimeseriesBuilder } from '@grafana/grafana-foundation-sdk/timeseries';

import { type DashboardModel, dashboardModel } from './dashboard-model.ts';
import { DATA_SOURCE, fluxTarget, OPEN_SINCE_MAX, orElse, ROWS, select, SENSOR_TAGS, toTime } from './flux-query.ts';
import { ANOMALY_HEADINGS, COLOURS, columns, inWords, SEVERITY_WORDS } from './looks.ts';
import { nameVariable, sizeVariable } from './variables.ts';

/** Windows that one chart shows; for a longer range a longer window says more. */
const WINDOWS_MAX = 5_000;

const windows = (fields: readonly string[]): string =>
  `${select({ measurement: 'window', tags: SENSOR_TAGS, fields })}
${ROWS}
  |> sort(columns: ["_time"])
  |> tail(n: ${WINDOWS_MAX})`;

const band = `${windows(['mean', 'sd', 'min', 'max'])}
  |> map(fn: (r) => ({_time: r._time, "mean": r.mean, "mean − sd": r.mean - r.sd, "mean + sd": r.mean + r.sd, "min": r.min, "max": r.max}))`;

const keep = (fields: readonly string[]): string => {
  const list = ['_time', ...fields].map((field) => `"${field}"`).join(', ');
  return `${windows(fields)}
  |> keep(columns: [${list}])`;
};

const EPISODES = `${select({
  measurement: 'anomaly',
  tags: SENSOR_TAGS,
  fields: ['phase', 'severity', 'event_time', ...Object.keys(ANOMALY_HEADINGS)],
  lookBack: OPEN_SINCE_MAX,
})}
${ROWS}
  |> filter(fn: (r) => r.phase != "closed" or int(v: r.event_time) * 1000000 >= int(v: v.timeRangeStart))`;

const annotation = `import "date"

${EPISODES}
  |> map(fn: (r) => ({time: r._time, timeEnd: ${toTime('event_time')}, title: r.kind, text: r.explanation, tags: r.severity}))
  |> sort(columns: ["time"])
  |> tail(n: 500)`;

const episodes = `import "date"

${EPISODES}
  |> map(fn: (r) => ({r with until: ${toTime('event_time')}, unit: ${orElse('unit', '""')}, expected_low: ${orElse('expected_low', 'float(v: "NaN")')}, expected_high: ${orElse('expected_high', 'float(v: "NaN")')}}))
  |> keep(columns: ["_time", "until", "phase", "severity", "kind", "detector", "value", "worst_value", "unit", "expected_low", "expected_high", "score", "readings", "explanation"])
  |> sort(columns: ["_time"], desc: true)
  |> limit(n: 500)`;

const chart = (title: string, query: string): TimeseriesBuilder =>
  new TimeseriesBuilder()
    .title(title)
    .datasource(DATA_SOURCE)
    .withTarget(fluxTarget('A', query))
    .showPoints(VisibilityMode.Auto)
    .noValue('no windows yet in this time range')
    .height(8);

const DASHED: DynamicConfigValue[] = [
  { id: 'custom.lineStyle', value: { fill: 'dash', dash: [4, 6] } },
  { id: 'custom.lineWidth', value: 1 },
];

const EDGE: DynamicConfigValue[] = [
  { id: 'custom.lineWidth', value: 0 },
  { id: 'color', value: { mode: 'fixed', fixedColor: 'blue' } },
];

/** One sensor: what it measured, what was usual, and each anomaly with its explanation. */
export function sensor(): DashboardModel {
  return dashboardModel({
    uid: 'floorwatch-sensor',
    title: 'Sensor',
    description: 'One sensor: its windows, its moving statistics and its anomalies',
    variables: [...SENSOR_TAGS.map((tag) => nameVariable(tag, false)), sizeVariable()],
    links: [
      new DashboardLinkBuilder('Floor overview')
        .type(DashboardLinkType.Link)
        .url('/d/floorwatch-overview')
        .keepTime(true),
    ],
    annotations: [
      new AnnotationQueryBuilder()
        .name('Anomalies')
        .datasource(DATA_SOURCE)
        .enable(true)
        .iconColor(COLOURS.critical)
        .target(fluxTarget('Anomalies', annotation)),
    ],
    panels: [
      chart('Mean ± standard deviation, minimum and maximum', band)
        .description(`Of each sealed window; the newest ${WINDOWS_MAX} of the time range`)
        .overrideByName('mean', [
          { id: 'custom.lineWidth', value: 2 },
          { id: 'color', value: { mode: 'fixed', fixedColor: 'blue' } },
        ])
        .overrideByName('mean + sd', [
          ...EDGE,
          { id: 'custom.fillBelowTo', value: 'mean − sd' },
          { id: 'custom.fillOpacity', value: 20 },
        ])
        .overrideByName('mean − sd', EDGE)
        .overrideByName('min', DASHED)
        .overrideByName('max', DASHED)
        .span(24)
        .height(11),
      chart('Moving means', keep(['count_mean', 'time_mean', 'ew_mean']))
        .description(
          'As they stood at the newest reading of each window: over a count of readings, over time, exponentially weighted',
        )
        .span(12),
      chart('Moving standard deviations', keep(['count_sd', 'time_sd', 'ew_sd']))
        .description('As they stood at the newest reading of each window')
        .span(12),
      new TableBuilder()
        .title('Anomalies')
        .description(
          `Episodes that touch the time range and opened at most ${OPEN_SINCE_MAX} before it, the latest first`,
        )
        .datasource(DATA_SOURCE)
        .withTarget(fluxTarget('A', episodes))
        .withTransformation(
          columns({
            _time: 'Opened',
            until: 'Until',
            phase: 'Phase',
            severity: 'Severity',
            kind: 'Kind',
            detector: 'Detector',
            ...ANOMALY_HEADINGS,
          }),
        )
        .overrideByName('Severity', inWords(SEVERITY_WORDS))
        .overrideByName('Why', [{ id: 'custom.minWidth', value: 300 }])
        .noValue('no anomalies in this time range')
        .span(24)
        .height(8),
      chart('Readings per window', keep(['n', 'anomalous', 'uncertain']))
        .description('All, those within an anomaly, and those that the device called uncertain')
        .drawStyle(GraphDrawStyle.Bars)
        .decimals(0)
        .min(0)
        .span(24)
        .height(6),
    ],
  });
}
