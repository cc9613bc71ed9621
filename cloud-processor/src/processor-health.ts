import { describeAlarms, describeEarlySeals, describeRecovery } from './health-words.ts';
import { processorLimits } from './limits.ts';
import type { Lane } from './partition-parts.ts';
import type { AlarmSnapshot } from './sequence/alarms.ts';
import { describeRefused } from './write/refused-tables.ts';

/** How each part is, in a few words. */
export interface ProcessorHealth {
  /** Whether everything works that a restart, or a person with its remedy, could mend. */
  readonly ok: boolean;
  readonly parts: Readonly<Record<string, string>>;
}

/** What the health of the processor depends on. */
export interface HealthFacts {
  readonly lanes: readonly Lane[];
  /** Whether NATS is connected. */
  readonly connected: boolean;
  /** In words; `ok` while they hold. */
  readonly claims: string;
  readonly streamProblem: string | undefined;
  /** Why the store is not connected; undefined: it is. */
  readonly storeProblem: string | undefined;
  /** Partitions that wait for what the store says. */
  readonly recovering: readonly number[];
  /** What `reprocess` does now. */
  readonly reprocessing: { readonly phase: string; readonly partition: number } | undefined;
  /** What the store itself wants people to know, by part. */
  readonly concerns: Readonly<Record<string, string>>;
  /** The newest first. */
  readonly alarms: readonly AlarmSnapshot[];
}

/** Puts the facts into words. */
export function describeHealth(facts: HealthFacts): ProcessorHealth {
  const parts = essentialParts(facts);
  // The others are worth a person's look, but nothing that a restart or another processor would mend.
  return {
    ok: Object.values(parts).every((part) => part === 'ok'),
    parts: { ...parts, ...furtherParts(facts) },
  };
}

function essentialParts(facts: HealthFacts): Record<string, string> {
  const { lanes, connected, claims, streamProblem, storeProblem } = facts;
  const trouble = lanes.find(({ writer }) => writer.trouble !== undefined)?.writer.trouble;
  const refusedTable = lanes.flatMap(({ writer }) => writer.refusedTables.at(Date.now()))[0];
  const refused = refusedTable === undefined ? undefined : describeRefused(refusedTable, Date.now());
  const heldBack = lanes.filter(({ runner }) => runner.heldBack).length;
  return {
    nats: connected ? 'ok' : 'not connected',
    claims,
    stream: streamProblem ?? (lanes.some(isReading) || heldBack > 0 ? 'ok' : 'not reading'),
    store: storeProblem ?? trouble?.message ?? refused ?? 'ok',
    outbox: heldBack === 0 ? 'ok' : `full in ${heldBack} of ${lanes.length} partitions: reading waits for the store`,
    checkpoints: lanes.some(({ runner }) => runner.checkpoints.failing) ? 'can not be saved' : 'ok',
  };
}

function furtherParts(facts: HealthFacts): Record<string, string> {
  const { lanes, recovering, reprocessing, concerns } = facts;
  const expired = lanes.reduce((sum, { writer }) => sum + writer.expired, 0);
  const sealedEarly = lanes.reduce((sum, { runner }) => sum + runner.partition.windows.shared.sealedEarly, 0);
  const alarms = facts.alarms.filter(({ lastAt }) => Date.now() - lastAt < processorLimits.alarmShownMs);
  return {
    ...(recovering.length === 0 ? {} : { recovery: describeRecovery(recovering) }),
    ...(reprocessing === undefined ? {} : { reprocess: `${reprocessing.phase} partition ${reprocessing.partition}` }),
    ...withExpired(concerns, expired),
    ...(sealedEarly === 0 ? {} : { windows: describeEarlySeals(sealedEarly) }),
    ...(alarms.length === 0 ? {} : { alarms: describeAlarms(alarms) }),
  };
}

/** What the store says, and with what it says of old rows how many were left out. */
function withExpired(concerns: Readonly<Record<string, string>>, expired: number): Readonly<Record<string, string>> {
  const { retention, ...others } = concerns;
  const left = expired === 0 ? [] : [`${expired} rows were too old to be stored`];
  const said = [...left, ...(retention === undefined ? [] : [retention])];
  return said.length === 0 ? others : { ...others, retention: said.join('; ') };
}

/** Reading that rests for `reprocess` continues by itself. */
const isReading = ({ reader, runner }: Lane): boolean => reader?.reading === true || runner.resting;
