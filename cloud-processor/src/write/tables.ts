import {
  type Aggregate,
  type AnomalyRow,
  type CountedEpisodesRow,
  type CountedRow,
  type GatewayRow,
  hashText,
  type LateRow,
  type LiveWindowRow,
  meanOf,
  MOVING_STATISTICS,
  type MovingStatistics,
  type Row,
  sdOf,
  sizeLabel,
  textHash,
  type WindowRow,
  varianceOf,
} from '@floorwatch/contracts';

/**
 * How rows are laid out for people: what Grafana and SQL see, the same names in both stores. Beside these columns every row is
 * kept once more as exact text (see `stored-row.ts`), and that text alone is what floorwatch reads back.
 */
export interface Table<R extends Row = Row> {
  /** What tells apart two series, in order. Tags in InfluxDB, text columns in DuckDB. Fixed for a row's life. */
  readonly tags: readonly Tag<R>[];
  readonly columns: readonly Column<R>[];
  /** Columns that came with later releases, in the order in which they came: a DuckDB file has them at its end. */
  readonly added?: readonly Column<R>[];
  /** Event time, epoch milliseconds; part of every key. */
  time(row: R): number;
  /** What the key has besides tags and time, such as the anomaly's id: hexadecimal, and shown in the column `id`. */
  id?(row: R): string;
  /** Numbers whose names come from the data; InfluxDB gets them as fields of their own. */
  more?(row: R): Iterable<readonly [name: string, value: number]>;
}

export interface Tag<R> {
  readonly name: string;
  read(row: R): string;
}

/** A column of numbers or of text; null where there is nothing to say. */
export type Column<R> =
  | { readonly name: string; readonly type: 'number'; read(row: R): number | null }
  | { readonly name: string; readonly type: 'text'; read(row: R): string | null };

/** What `column` shows of `row`: a number that overflowed, such as the variance of values near 1e300, is not shown. */
export function readColumn<R>(column: Column<R>, row: R): number | string | null {
  const value = column.read(row);
  return typeof value === 'number' && !Number.isFinite(value) ? null : value;
}

type AnyWindow = WindowRow | LiveWindowRow;

const number = <R>(name: string, read: (row: R) => number | null): Column<R> => ({ name, type: 'number', read });
const text = <R>(name: string, read: (row: R) => string | null): Column<R> => ({ name, type: 'text', read });

const sensorTags: readonly Tag<AnyWindow | LateRow | AnomalyRow | CountedRow>[] = [
  { name: 'site', read: (row) => row.sensor.site },
  { name: 'gateway', read: (row) => row.sensor.gateway },
  { name: 'device', read: (row) => row.sensor.device },
  { name: 'metric', read: (row) => row.sensor.metric },
];

const sizeTag: Tag<AnyWindow | LateRow> = { name: 'size', read: (row) => sizeLabel(row.size) };

const gatewayTags: readonly Tag<GatewayRow | CountedEpisodesRow>[] = [
  { name: 'site', read: (row) => row.site },
  { name: 'gateway', read: (row) => row.gateway },
];

/** Tells apart the counts of one hour. */
const countId = ({ counter, since }: CountedRow | CountedEpisodesRow): string =>
  hashText(textHash(`${counter} ${since}`)) ?? '';

const countColumns: readonly Column<CountedRow | CountedEpisodesRow>[] = [
  text('id', countId),
  text('counter', (row) => row.counter),
  number('since', (row) => row.since),
];

/** `countMean` → `count_mean`: names of columns are in the case that SQL and InfluxDB people write. */
const columnName = (name: string): string => name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

const movingColumns: readonly Column<{ readonly moving: MovingStatistics }>[] = MOVING_STATISTICS.map((name) =>
  number(columnName(name), (row) => row.moving[name]),
);

const SHOWN_AS_THEY_ARE = [
  'n',
  'min',
  'max',
  'last',
  'lastAt',
  'anomalous',
  'uncertain',
] as const satisfies readonly (keyof Aggregate)[];

const windowColumns: readonly Column<AnyWindow>[] = [
  text('unit', (row) => row.unit ?? null),
  number('mean', (row) => meanOf(row.aggregate)),
  number('variance', (row) => varianceOf(row.aggregate)),
  number('sd', (row) => sdOf(row.aggregate)),
  ...SHOWN_AS_THEY_ARE.map((name) => number<AnyWindow>(columnName(name), (row) => row.aggregate[name])),
  ...movingColumns,
];

const addedToWindows: readonly Column<AnyWindow>[] = [text('hash', (row) => row.hash ?? null)];

/** Every table of both stores. */
export const TABLES: { readonly [T in Row['table']]: Table<Extract<Row, { table: T }>> } = {
  window: {
    tags: [...sensorTags, sizeTag],
    time: (row) => row.start,
    columns: [
      ...windowColumns,
      number('revision', (row) => row.revision),
      number('incomplete', (row) => (row.incomplete ? 1 : 0)),
    ],
    added: addedToWindows,
  } satisfies Table<WindowRow>,

  window_live: {
    tags: [...sensorTags, sizeTag],
    time: (row) => row.start,
    columns: windowColumns,
    added: addedToWindows,
  } satisfies Table<LiveWindowRow>,

  anomaly: {
    // What may change while an episode lasts, such as its severity, is no tag: it would make a second point of it.
    tags: [
      ...sensorTags,
      { name: 'kind', read: (row) => row.anomalyKind },
      { name: 'detector', read: (row) => row.detector },
    ],
    time: (row) => row.openedAt,
    id: (row) => row.id,
    columns: [
      text('id', (row) => row.id),
      text('phase', (row) => row.phase),
      text('severity', (row) => row.severity),
      text('explanation', (row) => row.explanation),
      text('unit', (row) => row.unit ?? null),
      text('provenance', (row) => row.provenance),
      text('clock', (row) => row.clock),
      text('close_reason', (row) => row.closeReason ?? null),
      number('value', (row) => row.value),
      number('score', (row) => row.score),
      number('expected_low', (row) => row.expected.low),
      number('expected_high', (row) => row.expected.high),
      number('worst_value', (row) => row.worst.value),
      number('worst_at', (row) => row.worst.at),
      number('worst_score', (row) => row.worst.score),
      number('readings', (row) => row.readings),
      number('event_time', (row) => row.eventTime),
      number('detected_at', (row) => row.detectedAt),
      number('detector_version', (row) => row.detectorVersion),
      ...movingColumns,
    ],
  } satisfies Table<AnomalyRow>,

  late: {
    tags: [...sensorTags, sizeTag],
    time: (row) => row.start,
    columns: [number('readings', (row) => row.readings)],
  } satisfies Table<LateRow>,

  gateway: {
    tags: gatewayTags,
    time: (row) => row.at,
    columns: [
      text('version', (row) => row.version),
      text('config_hash', (row) => row.configHash),
      text('clock', (row) => row.clock),
      number('sensors', (row) => row.sensors),
      number('started_at', (row) => row.startedAt),
    ],
    *more(row) {
      for (const [name, value] of Object.entries(row.counters)) {
        if (/^[A-Za-z]\w*$/.test(name)) yield [`counter_${columnName(name)}`, value];
      }
    },
  } satisfies Table<GatewayRow>,

  counted: {
    tags: sensorTags,
    time: (row) => row.hour,
    id: countId,
    columns: [...countColumns, number('n', (row) => row.n), text('hash', (row) => row.hash)],
  } satisfies Table<CountedRow>,

  counted_episodes: {
    tags: gatewayTags,
    time: (row) => row.hour,
    id: countId,
    columns: [
      ...countColumns,
      number('opened', (row) => row.opened),
      text('opened_hash', (row) => row.openedHash),
      number('closed', (row) => row.closed),
      text('closed_hash', (row) => row.closedHash),
    ],
  } satisfies Table<CountedEpisodesRow>,
};

/** The table that `row` belongs to. */
export const tableOf = (row: Row): Table => TABLES[row.table];

/** All columns of a table for people, those of later releases last. */
export const columnsOf = (table: Table): readonly Column<Row>[] => [...table.columns, ...(table.added ?? [])];

/** The names of all tables. */
export const TABLE_NAMES = Object.keys(TABLES) as readonly Row['table'][];
