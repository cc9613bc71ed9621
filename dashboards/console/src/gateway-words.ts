import type { BROKER_AWAY as BrokerAway, GatewayAlarm, GatewayView } from '@floorwatch/contracts';

import { formatDuration, formatInstant } from './format.ts';

/** Only the types of the contracts come to the page. */
const BROKER_AWAY: typeof BrokerAway = 'brokerAway';
/** An alarm that was raised longer ago is history, and stands in the log of the processor. */
const ALARM_SHOWN_MS = 86_400_000;

/** Whether nobody knows how the gateway's sensors are. */
export const isSilent = ({ heardAt, report }: GatewayView, now: number, silentAfter: number): boolean =>
  heardAt === null || now - heardAt > silentAfter || isBrokerAway(report);

const isBrokerAway = (report: GatewayView['report']): boolean => (report?.counters[BROKER_AWAY] ?? 0) > 0;

/** How a gateway is, in a few words. @param silentAfter milliseconds after which it counts as silent. */
export function describeGateway(view: GatewayView, now: number, silentAfter: number): string {
  const { heardAt, watermark, report } = view;
  if (heardAt === null) return 'Not heard since the processor started: its sensors are unknown';
  const age = Math.max(0, now - heardAt);
  if (age > silentAfter) return `Silent for ${formatDuration(age)}: its sensors are unknown`;
  if (isBrokerAway(report)) return 'Its MQTT broker is away: its sensors are unknown';
  const heard = age < 10_000 ? 'Live' : `Heard ${formatDuration(age)} ago`;
  if (watermark === null || now - watermark < 120_000) return heard;
  return `${heard}, readings up to ${formatInstant(watermark, now)}`;
}

/** An alarm of a gateway as a person reads it. */
export interface AlarmWords {
  /** Stays the same as long as it is the same alarm. */
  readonly key: string;
  readonly title: string;
  readonly meaning: string;
  readonly remedy: string;
  readonly when: string;
}

const TITLES: Readonly<Record<GatewayAlarm['kind'], string>> = {
  identity: 'is not the gateway that it was, or there are two of it',
  trimmed: 'no longer has records that the processor lacks',
};

/** The alarms that gateways raised in the last day, the newest first. Two lanes raise most of them together: they are one. */
export function describeAlarms(gateways: readonly GatewayView[], now: number): AlarmWords[] {
  const newest = new Map<string, { readonly view: GatewayView; readonly alarm: GatewayAlarm }>();
  for (const view of gateways) {
    for (const alarm of view.alarms) {
      const key = `${view.site}/${view.gateway}/${alarm.meaning}`;
      const known = newest.get(key);
      if (now - alarm.lastAt < ALARM_SHOWN_MS && (known === undefined || known.alarm.lastAt < alarm.lastAt)) {
        newest.set(key, { view, alarm });
      }
    }
  }
  return [...newest]
    .sort(([, a], [, b]) => b.alarm.lastAt - a.alarm.lastAt)
    .map(([key, { view, alarm }]) => ({
      key,
      title: `${view.site} / ${view.gateway} ${TITLES[alarm.kind]}`,
      meaning: asSentence(alarm.meaning),
      remedy: asSentence(alarm.remedy),
      when: timesOf(alarm, now),
    }));
}

function timesOf({ firstAt, lastAt, count }: GatewayAlarm, now: number): string {
  if (count === 1) return formatInstant(lastAt, now);
  return `${count} times, from ${formatInstant(firstAt, now)} to ${formatInstant(lastAt, now)}`;
}

const asSentence = (text: string): string => `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
