import type { Builder, Dataquery } from '@grafana/grafana-foundation-sdk/cog';

/** The data source that provisioning makes; dashboards name it by this uid. */
export const DATA_SOURCE = { type: 'influxdb', uid: 'floorwatch-influxdb' } as const;

/** What Grafana keeps of a query in Flux. The SDK has no type of its own for InfluxDB. */
interface FluxQuery extends Dataquery {
  readonly refId: string;
  readonly datasource: typeof DATA_SOURCE;
  readonly query: string;
}

/** A query in Flux as a target of a panel or of an annotation. */
export function fluxTarget(refId: string, query: string): Builder<Dataquery> {
  const target: FluxQuery = { refId, datasource: DATA_SOURCE, query, _implementsDataqueryVariant: () => undefined };
  return { build: () => target };
}

/** The names that tell sensors apart, from the widest to the narrowest; tags in InfluxDB, variables in the dashboards. */
export const SENSOR_TAGS = ['site', 'gateway', 'device', 'metric'] as const;
export type SensorTag = (typeof SENSOR_TAGS)[number];

/**
 * A condition that each tag is what its variable says. Regular expressions, because Grafana escapes names fully only in that format
 * (a name may hold quotes and dollar signs), and because they hold one name, several, and all alike.
 */
export const chosen = (tags: readonly SensorTag[]): string =>
  tags.map((tag) => `r.${tag} =~ /^\${${tag}:regex}$/`).join(' and ');

/** A condition that the field is one of these. */
const fieldIs = (fields: readonly string[]): string => fields.map((field) => `r._field == "${field}"`).join(' or ');

export interface Selection {
  readonly measurement: 'window' | 'anomaly' | 'late' | 'gateway';
  /** Chosen by the variables of the same names. */
  readonly tags: readonly SensorTag[];
  readonly fields: readonly string[];
  /** Begin so long before the time range: an episode that lasts may have opened before it. A duration of Flux. */
  readonly lookBack?: string;
}

/** The points of the time range, one table per series and field. */
export function select({ measurement, tags, fields, lookBack }: Selection): string {
  const start = lookBack === undefined ? 'v.timeRangeStart' : `date.sub(from: v.timeRangeStart, d: ${lookBack})`;
  const size = measurement === 'window' || measurement === 'late' ? ' and r.size == "${size}"' : '';
  return [
    'from(bucket: v.defaultBucket)',
    `  |> range(start: ${start}, stop: v.timeRangeStop)`,
    `  |> filter(fn: (r) => r._measurement == "${measurement}"${size} and ${chosen(tags)})`,
    `  |> filter(fn: (r) => ${fieldIs(fields)})`,
  ].join('\n');
}

/** Makes one row of the fields of each point, all series in one table. */
export const ROWS = `  |> pivot(rowKey: ["_time"], columnKey: ["_field"], valueColumn: "_value")
  |> group()`;

/** A column of epoch milliseconds as a time. */
export const toTime = (column: string): string => `time(v: int(v: r.${column}) * 1000000)`;

/** A column that a row may lack. */
export const orElse = (column: string, other: string): string => `if exists r.${column} then r.${column} else ${other}`;

/** How far back an episode that is still open is looked for. */
export const OPEN_SINCE_MAX = '30d';
