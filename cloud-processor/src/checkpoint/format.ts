import type { Row } from '@floorwatch/contracts';
import { z } from 'zod';

import type { StreamCursor } from '../consume/generation.ts';
import { ALARM_CAUSES, type AlarmCause, type AlarmSnapshot } from '../sequence/alarms.ts';
import type { StoredBefore, StoredGateway } from '../stored-gateway.ts';
import type { SourceSnapshot } from '../sequence/sequencer.ts';
import { CELLS } from '../window/cells.ts';
import { EVIDENCE_WORDS, type EvidenceSnapshot, hoursOf, spansOf } from '../verify/evidence.ts';
import type { LedgerSnapshot } from '../verify/ledger.ts';
import type { LateWindowSnapshot } from '../window/late-windows.ts';
import type { PaneSnapshot } from '../window/pane.ts';
import type { WindowSnapshot } from '../window/window-operator.ts';

/** Everything that one partition must know to go on. */
export interface CheckpointState {
  /** Names the series of checkpoints that ordinals count in. */
  readonly series: string;
  /** Counts the checkpoints of the partition. */
  readonly ordinal: number;
  readonly partition: number;
  readonly cursor: StreamCursor;
  readonly sources: readonly SourceSnapshot[];
  readonly alarms: readonly AlarmSnapshot[];
  readonly windows: WindowSnapshot;
  /** What `verify` holds the stored rows against. */
  readonly ledger: readonly LedgerSnapshot[];
  readonly evidence: readonly EvidenceSnapshot[];
  /** Output that the store has not confirmed, one row per key. */
  readonly unsent: readonly Row[];
  /** The processor stopped cleanly: no request to the store is under way that could still land. */
  readonly clean: boolean;
  /** Something in `unsent` is still to be compared with the store, see `Outbox.compare`. */
  readonly comparing: boolean;
  /** What processors before have stored that this state may not know. */
  readonly before: StoredBefore;
}

/** Version of the format below. Until the first release the format changes in place; what was written before is not read. */
export const CHECKPOINT_VERSION = 1;

/** Entries that are encoded together, so that it never holds up the program for long. */
const ENTRIES_PER_LINE = 500;

/** Bytes that become base64 together: a multiple of 3, so that the pieces can be joined. */
const BYTES_PER_PIECE = 3 * 2 ** 15;

/**
 * The text of a checkpoint, in pieces that each take less than a millisecond or so to make; whoever writes them lets others run in between.
 * Its lines are one JSON value each:
 *
 * - `{"kind":"checkpoint","version":1,"codeVersion":…,"series":…,"ordinal":…,"partition":…,"cursor":{…}}`, always first
 * - `{"kind":"sources","sources":[…]}`, any number of times; an epoch is `[name, floor, highest number, has a successor, heard at, lost from, digest]`,
 *   a run is `[run, epoch, first number]`
 * - `{"kind":"stored","stored":[…]}`, any number of times, see `StoredGateway`
 * - `{"kind":"alarms","alarms":[…]}`, any number of times
 * - `{"kind":"ledger","ledger":[…]}`, any number of times
 * - `{"kind":"evidence",…}`: the sums of a gateway's event hours; `hours` as in `spansOf`, `words` little-endian 32-bit integers in base64
 * - `{"kind":"gateway",…}`: watermark, reach and sensors of a gateway; its windows follow
 * - `{"kind":"pane","size":…,"start":…,"slots":…,"cells":…}`: open windows of the gateway before it. `slots` are indices into the gateway's
 *   sensors as little-endian 32-bit integers, `cells` 18 little-endian doubles per window (see `window/cells.ts`), both in base64: every
 *   bit of every double comes back, and a tenth of the time is needed that decimal digits take
 * - `{"kind":"late","late":[…]}` and `{"kind":"unsent","rows":[…]}`, any number of times
 *
 * The last line, which {@link CheckpointFile} adds, holds a checksum of all before it.
 */
export function* encodeCheckpoint(state: CheckpointState, codeVersion: string): Generator<string> {
  const { series, ordinal, partition, cursor, clean, comparing } = state;
  const { runsTo } = state.before;
  const head = {
    version: CHECKPOINT_VERSION,
    codeVersion,
    series,
    ordinal,
    partition,
    cursor,
    clean,
    comparing,
    runsTo,
  };
  yield line({ kind: 'checkpoint', ...head });
  for (const sources of chunks(state.sources)) yield line({ kind: 'sources', sources });
  for (const stored of chunks(state.before.gateways)) yield line({ kind: 'stored', stored });
  for (const alarms of chunks(state.alarms)) yield line({ kind: 'alarms', alarms });
  for (const ledger of chunks(state.ledger)) yield line({ kind: 'ledger', ledger });
  for (const { hours, words, ...evidence } of state.evidence) {
    yield line({ kind: 'evidence', ...evidence, hours: spansOf(hours), words: toBase64(words) });
  }
  for (const { panes, sensors, ...gateway } of state.windows.gateways) {
    yield `${JSON.stringify({ kind: 'gateway', ...gateway }).slice(0, -1)},"sensors":[`;
    let comma = '';
    for (const some of chunks(sensors)) {
      yield comma + JSON.stringify(some).slice(1, -1);
      comma = ',';
    }
    yield ']}\n';
    for (const { size, start, slots, cells, through } of panes) {
      yield `{"kind":"pane","size":${size},"start":${start},"slots":"`;
      yield* base64Pieces(slots);
      yield '","cells":"';
      yield* base64Pieces(cells);
      yield '","through":"';
      yield* base64Pieces(through);
      yield '"}\n';
    }
  }
  for (const late of chunks(state.windows.late)) yield line({ kind: 'late', late });
  for (const { orders, cells, ...window } of state.windows.lateWindows) {
    yield line({ kind: 'late-window', ...window, orders: toBase64(orders), cells: toBase64(cells) });
  }
  for (const rows of chunks(state.unsent)) yield line({ kind: 'unsent', rows });
}

const line = (value: Readonly<Record<string, unknown>>): string => `${JSON.stringify(value)}\n`;

function* chunks<T>(items: readonly T[]): Generator<readonly T[]> {
  for (let from = 0; from < items.length; from += ENTRIES_PER_LINE) yield items.slice(from, from + ENTRIES_PER_LINE);
}

function* base64Pieces(array: Int32Array | Float64Array): Generator<string> {
  for (let from = 0; from < array.byteLength; from += BYTES_PER_PIECE) {
    const bytes = Math.min(BYTES_PER_PIECE, array.byteLength - from);
    yield Buffer.from(array.buffer, array.byteOffset + from, bytes).toString('base64');
  }
}

const toBase64 = (array: Int32Array | Uint32Array | Float64Array): string =>
  Buffer.from(array.buffer, array.byteOffset, array.byteLength).toString('base64');

const base64 = z.string().transform((text) => Buffer.from(text, 'base64'));
const pair = <A extends z.ZodType, B extends z.ZodType>(a: A, b: B) => z.tuple([a, b]);
const instant = z.number().int();
const count = z.number().int().min(0);
/** Of what gateways say, who may say anything: beyond 2^53 it is no longer exact, and must still be read. */
const sum = z.number().min(0);
const lane = z.enum(['anomaly', 'telemetry']);

const sourceName = { site: z.string(), gateway: z.string(), lane };
const sourceSchema = z.object({
  ...sourceName,
  current: z.string().nullable(),
  waiting: z.boolean(),
  run: count,
  takenFrom: z.string().nullable(),
  runs: z.array(z.tuple([count, z.string(), count])),
  epochs: z.array(z.tuple([z.string(), count, count, z.boolean(), instant, count, count])),
});

const alarmSchema = z.object({
  ...sourceName,
  cause: z.enum(Object.keys(ALARM_CAUSES) as AlarmCause[]),
  epoch: z.string(),
  firstAt: instant,
  lastAt: instant,
  count,
});

const ledgerSchema = z.object({
  site: z.string(),
  gateway: z.string(),
  tick: z.object({ run: count, number: count }).nullable(),
  counters: z.array(pair(z.string(), instant.nullable())),
  episodes: z.object({ epoch: z.string(), number: count }).nullable(),
  lost: z.array(
    z.object({
      lane,
      epoch: z.string(),
      run: count,
      from: count,
      to: count,
      reason: z.string(),
      readings: sum,
      anomalies: sum,
      unknown: z.boolean(),
      eventTimes: pair(instant, instant).nullable(),
    }),
  ),
});

const lineSchema = z.discriminatedUnion('kind', [
  z.object({
    kind: z.literal('checkpoint'),
    codeVersion: z.string(),
    series: z.string(),
    ordinal: z.number().int().min(1),
    partition: z.number().int().min(0),
    cursor: z.object({
      created: z.string().nullable(),
      position: z.number().int().min(0),
      digest: z.number().int().nullable(),
    }),
    clean: z.boolean(),
    comparing: z.boolean(),
    runsTo: count,
  }),
  z.object({ kind: z.literal('sources'), sources: z.array(sourceSchema) }),
  z.object({
    kind: z.literal('stored'),
    stored: z.array(
      z.object({
        site: z.string(),
        gateway: z.string(),
        windowsTo: instant,
        episodesTo: instant,
        runs: z.array(z.tuple([count, z.string(), count, count])),
      }),
    ),
  }),
  z.object({ kind: z.literal('alarms'), alarms: z.array(alarmSchema) }),
  z.object({ kind: z.literal('ledger'), ledger: z.array(ledgerSchema) }),
  z.object({
    kind: z.literal('evidence'),
    site: z.string(),
    gateway: z.string(),
    from: instant.nullable(),
    pending: z.boolean(),
    reportedAt: instant.nullable(),
    reached: z.number().int().nullable(),
    omitted: z.array(z.tuple([z.number().int(), z.number().int()])),
    hours: z.array(z.number().int()),
    words: base64,
  }),
  z.object({
    kind: z.literal('gateway'),
    site: z.string(),
    gateway: z.string(),
    watermark: instant.nullable(),
    sealedTo: instant,
    newestEnd: instant,
    lostSince: instant.nullable(),
    lost: z.array(pair(instant, instant)),
    lostSealed: z.array(pair(instant, instant)),
    completeFrom: z.array(pair(instant, instant)),
    sealedEarly: z.array(pair(instant, instant)),
    recoverFrom: instant.nullable(),
    recoveredTo: instant.nullable(),
    reach: z.array(pair(z.number(), z.number())),
    sensors: z.array(z.object({ device: z.string(), metric: z.string(), unit: z.string().exactOptional() })),
  }),
  z.object({
    kind: z.literal('pane'),
    size: z.number().int().min(1),
    start: instant,
    slots: base64,
    cells: base64,
    through: base64,
  }),
  z.object({
    kind: z.literal('late-window'),
    sensor: z.object({ site: z.string(), gateway: z.string(), device: z.string(), metric: z.string() }),
    unit: z.string().exactOptional(),
    size: z.number().int().min(1),
    start: instant,
    incomplete: z.boolean(),
    orders: base64,
    cells: base64,
  }),
  z.object({ kind: z.literal('late'), late: z.array(pair(z.string(), sum)) }),
  // The rows are our own and covered by the checksum; the store checks them again before it takes them.
  z.object({
    kind: z.literal('unsent'),
    rows: z.array(z.custom<Row>((row) => typeof row === 'object' && row !== null)),
  }),
]);

type Line = z.infer<typeof lineSchema>;

/** A checkpoint can't be read. `foreign`: it has another version than this release reads. `damaged`: anything else. */
export class CheckpointError extends Error {
  override readonly name = 'CheckpointError';
  readonly code: 'foreign' | 'damaged';

  constructor(code: 'foreign' | 'damaged', message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** The state that {@link encodeCheckpoint} wrote as `lines`. @throws CheckpointError */
export function decodeCheckpoint(lines: readonly string[]): CheckpointState {
  const [first, ...rest] = lines.map(parseLine);
  if (first?.kind !== 'checkpoint')
    throw new CheckpointError('damaged', 'it does not begin with the line "checkpoint"');
  const sources: SourceSnapshot[] = [];
  const stored: StoredGateway[] = [];
  const alarms: AlarmSnapshot[] = [];
  const ledger: LedgerSnapshot[] = [];
  const evidence: EvidenceSnapshot[] = [];
  const late: (readonly [string, number])[] = [];
  const lateWindows: LateWindowSnapshot[] = [];
  const unsent: Row[] = [];
  const gateways: (Omit<WindowSnapshot['gateways'][number], 'panes'> & { panes: PaneSnapshot[] })[] = [];
  for (const value of rest) {
    switch (value.kind) {
      case 'checkpoint':
        throw new CheckpointError('damaged', 'it holds the line "checkpoint" twice');
      case 'sources':
        sources.push(...value.sources);
        break;
      case 'stored':
        stored.push(...value.stored);
        break;
      case 'alarms':
        alarms.push(...value.alarms);
        break;
      case 'ledger':
        ledger.push(...value.ledger);
        break;
      case 'evidence':
        evidence.push(evidenceOf(value));
        break;
      case 'gateway': {
        const { kind: _kind, ...gateway } = value;
        gateways.push({ ...gateway, panes: [] });
        break;
      }
      case 'pane':
        addPane(gateways.at(-1), value);
        break;
      case 'late-window':
        lateWindows.push(lateWindowOf(value));
        break;
      case 'late':
        late.push(...value.late);
        break;
      case 'unsent':
        unsent.push(...value.rows);
        break;
    }
  }
  const { kind: _kind, codeVersion: _codeVersion, runsTo, ...head } = first;
  const before = { gateways: stored, runsTo };
  return { ...head, before, sources, alarms, ledger, evidence, windows: { gateways, late, lateWindows }, unsent };
}

function parseLine(text: string): Line {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new CheckpointError('damaged', `a line is not JSON: ${text.slice(0, 80)}`, { cause: error });
  }
  const version = typeof value === 'object' && value !== null && 'version' in value ? value.version : undefined;
  if (typeof version === 'number' && version !== CHECKPOINT_VERSION) {
    throw new CheckpointError('foreign', `it has version ${version}, this release reads ${CHECKPOINT_VERSION}`);
  }
  const parsed = lineSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new CheckpointError('damaged', `${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'invalid'}`);
}

function evidenceOf({ kind: _kind, ...evidence }: Extract<Line, { kind: 'evidence' }>): EvidenceSnapshot {
  const hours = hoursOf(evidence.hours);
  const words = new Uint32Array(aligned(evidence.words));
  if (words.length === hours.length * EVIDENCE_WORDS) return { ...evidence, hours, words };
  throw new CheckpointError('damaged', `the evidence of ${evidence.site}/${evidence.gateway} does not fit its hours`);
}

function addPane(
  gateway: { readonly sensors: readonly unknown[]; readonly panes: PaneSnapshot[] } | undefined,
  pane: Extract<Line, { kind: 'pane' }>,
): void {
  const slots = new Int32Array(aligned(pane.slots));
  const cells = new Float64Array(aligned(pane.cells));
  if (gateway === undefined) throw new CheckpointError('damaged', 'windows stand before their gateway');
  if (cells.length !== slots.length * CELLS || slots.some((slot) => slot < 0 || slot >= gateway.sensors.length)) {
    throw new CheckpointError('damaged', `the windows at ${pane.start} do not fit their gateway`);
  }
  const through = new Float64Array(aligned(pane.through));
  if (through.length !== slots.length)
    throw new CheckpointError('damaged', `the windows at ${pane.start} lack their records`);
  gateway.panes.push({ size: pane.size, start: pane.start, slots, cells, through });
}

function lateWindowOf({ kind: _kind, ...late }: Extract<Line, { kind: 'late-window' }>): LateWindowSnapshot {
  const orders = new Float64Array(aligned(late.orders));
  const cells = new Float64Array(aligned(late.cells));
  if (orders.length === 0 || cells.length !== orders.length * CELLS) {
    throw new CheckpointError('damaged', `the late readings of the window at ${late.start} do not fit together`);
  }
  return { ...late, unit: late.unit, orders, cells };
}

/** The bytes in a buffer of their own: a pooled one may begin at any offset, and doubles need a multiple of 8. */
function aligned(bytes: Buffer): ArrayBuffer {
  const copy = new ArrayBuffer(bytes.length - (bytes.length % 4));
  new Uint8Array(copy).set(bytes.subarray(0, copy.byteLength));
  return copy;
}
