import type { Tenure } from './claim/tenure.ts';
import { processorLimits } from './limits.ts';
import { ALARM_CAUSES, type AlarmSnapshot } from './sequence/alarms.ts';

/**
 * How the claims are, in words with what to do.
 *
 * @param problem why they can't be written, if that is so.
 */
export function describeClaims(
  { taken, mayAct, msLeft }: Pick<Tenure, 'taken' | 'mayAct' | 'msLeft'>,
  problem: string | undefined,
): string {
  if (mayAct) return 'ok';
  if (!taken && problem === undefined) return 'not taken yet';
  const why = problem === undefined ? '' : ` (${problem})`;
  const remedy =
    'What to do: see whether nats-server runs with JetStream, and whether its disk is full or was (docs/runbooks/processor.md)';
  if (!taken) return `not taken yet: NATS does not take them${why}, so nothing is read. ${remedy}`;
  const since = Math.round(Math.max(0, -msLeft) / 1_000);
  return (
    `${msLeft > 0 ? 'about to end' : `ended ${since} s ago`}: NATS has not taken their renewal${why}, ` +
    `so nothing is written to the store and no checkpoint is saved until it does. ${remedy}`
  );
}

/** That windows were sealed before their time, in words with what to do. */
export const describeEarlySeals = (windows: number): string =>
  `${windows} windows were sealed before windows.allowedLatenessSeconds had passed, because a partition holds at most ` +
  `${processorLimits.openWindowsPerPartitionMax} open ones; what is late corrects them in the store, which costs it more. ` +
  'What to do: lower windows.allowedLatenessSeconds, or leave out the smallest of windows.sizes';

/** That partitions have not begun yet, in words with what to do. */
export const describeRecovery = (partitions: readonly number[]): string =>
  `partition ${partitions.join(', ')}: its newest checkpoint is not here, so the store is looked at before anything is read. ` +
  'What to do: nothing, it begins by itself after store.lingerMs if the store answers; if a newer copy of dataDir exists, stop and put it back';

/** The newest alarms, in words with what to do. */
export function describeAlarms(alarms: readonly AlarmSnapshot[]): string {
  const { alarmsShown } = processorLimits;
  const shown = alarms.slice(0, alarmsShown).map(({ site, gateway, lane, cause }) => {
    const { kind, meaning, remedy } = ALARM_CAUSES[cause];
    return `${kind} of ${site}/${gateway} (${lane}): ${meaning}. What to do: ${remedy}`;
  });
  const more = alarms.length - shown.length;
  return [...shown, ...(more > 0 ? [`and ${more} more`] : [])].join('; ');
}
