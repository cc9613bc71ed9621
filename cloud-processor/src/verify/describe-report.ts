import { counted, type GatewayName, instantInWords } from '@floorwatch/contracts';

import type { LostNumbers } from './ledger.ts';
import type {
  Difference,
  EvidenceReport,
  GatewayReport,
  VerifyReport,
  VerifyRequest,
  VerifyStatus,
} from '@floorwatch/contracts/api';

/** Lost stretches that are told one by one. */
const LOST_SHOWN = 20;

/** Whether everything adds up. It does not where a gateway was asked for by name that nobody knows, or hours of which there are none. */
export const addsUp = ({ report, request }: VerifyStatus): boolean =>
  report?.ok === true && (report.gateways.length > 0 || !isNamed(request)) && !(isDated(request) && isEmpty(report));

/** Whether the checkpoint has sums of all that was compared, so that rows which are gone together with their counts would be missed. */
export const isProven = ({ report }: VerifyStatus): boolean => report?.isProven === true;

const isDated = ({ from, to }: VerifyRequest): boolean => from !== undefined || to !== undefined;

/** Whether there was nothing to say anything about in the time that was asked for. */
const isEmpty = ({ gateways }: Pick<VerifyReport, 'gateways'>): boolean =>
  gateways.every(({ readings, episodes }) =>
    [readings, episodes].every(({ hours, inFlight, uncounted }) => hours + inFlight + uncounted === 0),
  );

const isNamed = ({ site, gateway }: VerifyRequest): boolean => site !== undefined || gateway !== undefined;

/** The outcome for people, line by line; docs/verify.md explains each. */
export function describeReport({ state, request, report, problem }: VerifyStatus): string[] {
  if (report === null) {
    return [`${state === 'stopped' ? 'stopped' : 'could not be verified'}: ${problem ?? 'no reason is known'}`];
  }
  const refused = Object.entries(report.refusedReadings).filter(([, readings]) => readings > 0);
  return [
    ...report.gateways.flatMap(describeGateway),
    ...(report.unsent === 0
      ? []
      : [`${counted(report.unsent, 'row')} not yet in the store: compared as the checkpoint has them`]),
    ...(report.deadLetters === 0 ? [] : [`${counted(report.deadLetters, 'dead letter')}: see "dead-letters list"`]),
    ...(report.expired === 0
      ? []
      : [`${counted(report.expired, 'row')} were older than the store keeps them, and are not in it`]),
    ...refused.map(([reason, readings]) => `${counted(readings, 'reading')} found no place in a window (${reason})`),
    ...report.differences.flatMap(describeDifference),
    ...(report.differencesTotal > report.differences.length
      ? [`and ${counted(report.differencesTotal - report.differences.length, 'further difference')}`]
      : []),
    ...report.unknown.map(describeUnknown),
    verdictOf(report, request),
  ];
}

function describeUnknown({ site, gateway }: GatewayName): string {
  return `${site}/${gateway}  the store has reports of it, the processor has no evidence: its checkpoint was lost or begun anew, and nothing has come since`;
}

function verdictOf(report: VerifyReport, request: VerifyRequest): string {
  const { gateways, unknown, differencesTotal: differences } = report;
  if (differences > 0) return `DOES NOT ADD UP: ${counted(differences, 'difference')}`;
  const hours = gateways.reduce((sum, { readings }) => sum + readings.hours, 0);
  const told = gateways.reduce((sum, { readings }) => sum + readings.told, 0);
  if (gateways.length === 0 && unknown.length > 0) return NOT_PROVEN;
  if (gateways.length === 0)
    return `nothing to compare: no gateway${isNamed(request) ? ' of that name' : ''} has sent anything`;
  if (isDated(request) && isEmpty({ gateways }))
    return 'nothing to compare: between --from and --to lies no whole hour in which a gateway has accepted a reading and that the store still keeps';
  if (!report.isProven) return NOT_PROVEN;
  if (hours === 0)
    return 'nothing differs, but no hour of readings could be compared yet: hours are compared when they are over';
  return `EVERYTHING ADDS UP: ${counted(told, 'reading')} in ${counted(hours, 'sensor hour')}`;
}

const NOT_PROVEN =
  'NOT PROVEN: nothing differs, but rows that are gone together with their counts would not be missed where there is no evidence';

function describeGateway(gateway: GatewayReport): string[] {
  const { readings, episodes, lanes, lost, intake, watermark, evidence } = gateway;
  const notes = [
    ...(readings.inFlight === 0 ? [] : [`${counted(readings.inFlight, 'sensor hour')} in flight`]),
    ...(readings.uncounted === 0 ? [] : [`${counted(readings.uncounted, 'sensor hour')} not counted by the gateway`]),
    ...(readings.unhashed === 0 ? [] : [`${counted(readings.unhashed, 'sensor hour')} compared by number alone`]),
    ...(readings.lost === 0 ? [] : [`${counted(readings.lost, 'reading')} lost with numbers that the gateway gave up`]),
    ...(readings.late === 0 ? [] : [`${counted(readings.late, 'reading')} came late`]),
    ...(readings.lateWaiting === 0 ? [] : [`${counted(readings.lateWaiting, 'late rollup')} wait to be merged`]),
  ];
  return [
    `${gateway.site}/${gateway.gateway}  (event time up to ${watermark === null ? 'nothing yet' : instantInWords(watermark)})`,
    ...lanes.map(
      ({ lane, epoch, epochs, floor, inFlight }) =>
        `  ${lane}: ${epoch === null ? 'nothing yet' : `complete up to number ${floor} of epoch ${epoch} (${counted(epochs, 'epoch')})`}` +
        (inFlight === 0 ? '' : `, ${counted(inFlight, 'number')} in flight`),
    ),
    ...lost.slice(-LOST_SHOWN).map(describeLost),
    ...(lost.length > LOST_SHOWN
      ? [`  and ${counted(lost.length - LOST_SHOWN, 'earlier stretch')} of lost numbers`]
      : []),
    ...(intake === null
      ? []
      : [
          `  intake since ${instantInWords(intake.startedAt)}: ${counted(intake.received, 'reading')} received = ${intake.accepted} accepted + ` +
            `${intake.rejected} rejected + ${intake.duplicate} duplicate + ${intake.quarantined} quarantined + ${intake.retainedCopies} retained copies`,
        ]),
    `  readings: ${counted(readings.told, 'reading')} in ${counted(readings.hours, 'sensor hour')} compared with ${counted(readings.windows, 'window')}` +
      notes.map((note) => `; ${note}`).join(''),
    ...(evidence.isWhole ? [] : [describeEvidence(evidence)]),
    `  anomalies: ${episodes.opened} opened and ${episodes.closed} closed in ${counted(episodes.hours, 'hour')} compared` +
      (episodes.inFlight === 0 ? '' : `; ${counted(episodes.inFlight, 'hour')} in flight`) +
      (episodes.uncounted === 0
        ? ''
        : `; ${counted(episodes.uncounted, 'hour')} not told, or lost, with the numbers above`),
  ];
}

const describeEvidence = ({ since }: EvidenceReport): string =>
  since === null
    ? '  evidence: none yet, the processor has just begun to keep it'
    : `  evidence: since ${instantInWords(since)}; before that the rows were compared with each other alone`;

function describeLost({
  lane,
  epoch,
  from,
  to,
  reason,
  readings,
  anomalies,
  unknown,
  eventTimes,
}: LostNumbers): string {
  const what = [
    ...(readings > 0 ? [counted(readings, 'reading')] : []),
    ...(anomalies > 0 ? [counted(anomalies, 'record') + ' of anomalies'] : []),
    ...(unknown ? ['what nobody knows'] : []),
  ];
  const when = eventTimes === null ? '' : ` of ${instantInWords(eventTimes[0])} to ${instantInWords(eventTimes[1])}`;
  const numbers = to === 0 ? `the end of the epoch before ${epoch}` : `numbers ${from} to ${to} of epoch ${epoch}`;
  return `  lost in ${lane}: ${numbers} (${reason}), with ${what.join(' and ') || 'no reading'}${when}`;
}

function describeDifference(difference: Difference): string[] {
  const { site, gateway, sensor, from, to, finding, told, stored, cause, remedy } = difference;
  const when = from === null || to === null ? '' : ` ${instantInWords(from)} to ${instantInWords(to)}`;
  const sums =
    told === null || stored === null
      ? ''
      : ` [told ${told.n} ${told.hash ?? '?'}, stored ${stored.n} ${stored.hash ?? '?'}]`;
  return [
    `DIFFERENT ${site}/${gateway}${sensor === null ? '' : `/${sensor}`}${when}: ${finding}${sums}`,
    `  likely: ${cause}`,
    `  do: ${remedy}`,
  ];
}
