import {
  type EpochMs,
  epochMs,
  type GatewayAlarm,
  gatewayKey,
  type GatewayName,
  type Lane,
} from '@floorwatch/contracts';

interface AlarmText {
  readonly kind: GatewayAlarm['kind'];
  readonly meaning: string;
  readonly remedy: string;
}

/** Why an alarm is raised, and what a person is told. */
export const ALARM_CAUSES = {
  'no-predecessor': {
    kind: 'identity',
    meaning:
      'the agent began without any memory of an earlier start, but the processor has records of earlier ones: its data folder is new, or two machines use this name',
    remedy:
      'nothing if the gateway was set up anew or updated from a release that kept nothing on its disk; otherwise find the second machine, or the reason why the folder is empty',
  },
  shorter: {
    kind: 'identity',
    meaning:
      'the agent knows less of what it has sent than the processor has: its disk was replaced by an older copy of itself',
    remedy:
      'nothing if you restored the disk; what it had taken in since the copy and not sent by then is lost with the old disk',
  },
  'second-successor': {
    kind: 'identity',
    meaning: 'two starts of the agent follow the same earlier start: two machines run from copies of one disk',
    remedy:
      'let only one of them use this name; give the other a name of its own (site, gateway) and an empty data folder. After restoring an old copy: nothing',
  },
  'not-current': {
    kind: 'identity',
    meaning: 'a start of the agent that was over sends on: two machines run from copies of one disk',
    remedy:
      'let only one of them use this name; give the other a name of its own (site, gateway) and an empty data folder',
  },
  'gap-refuted': {
    kind: 'identity',
    meaning:
      'records came that a gap under this name had declared lost: somebody else sent the gap, or two machines use this name. The records were taken; windows that were open may stay marked incomplete',
    remedy:
      'give every gateway a NATS user of its own (runbook identity), so that nobody else can send in its name; look for a second machine of this name',
  },
  'other-content': {
    kind: 'identity',
    meaning:
      'a record came with a number that another one had already: somebody else sent in the name of this gateway, or two machines use it. The first one counts, so records of the gateway may be missing',
    remedy:
      'give every gateway a NATS user of its own (runbook identity); then look at the hours since the alarm with "verify", and start the agent again so that it begins a new epoch',
  },
  impossible: {
    kind: 'identity',
    meaning:
      'a message under this name holds what no gateway can send (a number, time or count that can not be, or the name of another gateway); it was refused and changed nothing',
    remedy:
      'look at it with "dead-letters list"; give every gateway a NATS user of its own (runbook identity), so that nobody else can send in its name',
  },
  'clock-ahead': {
    kind: 'identity',
    meaning:
      "the gateway calls its clock synchronised, and it was more than a year ahead of the NATS server's: one of the two was wrong, or somebody else sends in its name. The records were taken; readings from then on are late until times come that far, and are merged into their windows",
    remedy:
      'set the clocks of the gateway and of the NATS server (runbook clock); nothing if the gateway was wrong for a while. If both are right, give every gateway a NATS user of its own (runbook identity)',
  },
  trimmed: {
    kind: 'trimmed',
    meaning:
      'the processor asked for records again that the gateway no longer has: they are in no window of this processor unless an earlier checkpoint counted them',
    remedy:
      'find out why the checkpoint was lost or went back (disk, backup); windows that may lack readings are marked incomplete',
  },
} as const satisfies Readonly<Record<string, AlarmText>>;

export type AlarmCause = keyof typeof ALARM_CAUSES;

/** An alarm as it is saved: one per source and cause. */
export interface AlarmSnapshot extends GatewayName {
  readonly lane: Lane;
  readonly cause: AlarmCause;
  readonly epoch: string;
  readonly firstAt: number;
  readonly lastAt: number;
  readonly count: number;
}

/** As pages and programs see it. */
export function alarmView({ lane, cause, epoch, firstAt, lastAt, count }: AlarmSnapshot): GatewayAlarm {
  const { kind, meaning, remedy } = ALARM_CAUSES[cause];
  return { kind, lane, epoch, firstAt: epochMs(firstAt), lastAt: epochMs(lastAt), count, meaning, remedy };
}

/** The alarms of a partition, at most `max`: beyond that the one that was silent for longest goes. */
export class Alarms {
  readonly #max: number;
  /** In the order in which they were last raised. */
  readonly #alarms = new Map<string, AlarmSnapshot>();
  /** Raised since the start, by cause. */
  readonly raised = new Map<AlarmCause, number>();
  readonly #new = new Map<string, AlarmSnapshot>();

  constructor(max: number, from: readonly AlarmSnapshot[] = []) {
    this.#max = max;
    for (const alarm of from) this.#alarms.set(keyOf(alarm), alarm);
  }

  /** Returns the alarm as it is now. */
  raise(source: GatewayName & { readonly lane: Lane }, cause: AlarmCause, epoch: string, at: EpochMs): AlarmSnapshot {
    const { site, gateway, lane } = source;
    const key = keyOf({ site, gateway, lane, cause });
    const before = this.#alarms.get(key);
    const alarm: AlarmSnapshot = {
      site,
      gateway,
      lane,
      cause,
      epoch,
      firstAt: before?.firstAt ?? at,
      lastAt: at,
      count: (before?.count ?? 0) + 1,
    };
    this.raised.set(cause, (this.raised.get(cause) ?? 0) + 1);
    this.#alarms.delete(key);
    this.#alarms.set(key, alarm);
    if (this.#alarms.size > this.#max) this.#alarms.delete(this.#alarms.keys().next().value!);
    if (before === undefined && this.#new.size < this.#max) this.#new.set(key, alarm);
    return alarm;
  }

  /** Takes the alarms that were raised for the first time since this was last called. */
  takeNew(): readonly AlarmSnapshot[] {
    if (this.#new.size === 0) return [];
    const taken = [...this.#new.values()];
    this.#new.clear();
    return taken;
  }

  /** The oldest first. */
  all(): readonly AlarmSnapshot[] {
    return [...this.#alarms.values()];
  }
}

const keyOf = ({ lane, cause, ...gateway }: Pick<AlarmSnapshot, 'site' | 'gateway' | 'lane' | 'cause'>): string =>
  `${gatewayKey(gateway)}/${lane}/${cause}`;
