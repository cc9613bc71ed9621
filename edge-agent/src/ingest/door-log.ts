import { type EpochMs, epochMs } from '@floorwatch/contracts';

import { limits } from '../limits.ts';

/** What is said of a reason, and from when on. */
interface DoorRule {
  readonly severity: 'warning' | 'critical';
  /** Times that one client must cause it, each within `limits.doorQuietMs` of the last, before a person is told. */
  readonly timesMin: number;
  /** What happened, as the beginning of a sentence that names the client. */
  readonly what: string;
  /** What to do first. */
  readonly remedy: string;
}

/**
 * Why the embedded broker refuses, drops or closes what clients ask of it, so that it can serve the others. The list is fixed: each reason is a
 * metric's label and the code of a trouble (`door-…`).
 */
export const DOOR_REASONS = {
  'protocol-version': {
    severity: 'warning',
    timesMin: 1,
    what: 'a client asks for a version of MQTT that is not spoken here',
    remedy: 'set it to MQTT 3.1.1',
  },
  'not-mqtt': {
    severity: 'warning',
    timesMin: 1,
    what: 'a client does not speak MQTT over plain TCP',
    remedy: 'turn off TLS and WebSocket in the client, or find out what else connects to this port',
  },
  'wrong-password': {
    severity: 'warning',
    timesMin: 3,
    what: 'a client tries a wrong user or password again and again',
    remedy:
      'correct its user and password, or find out who guesses; broker.usersFile is read at the start of the agent',
  },
  'logins-full': {
    severity: 'warning',
    timesMin: 1,
    what: 'more logins wait for the check of their passwords than is sound, and clients were told to try again',
    remedy: 'find the client that tries so often; after a start with many devices it passes by itself',
  },
  'no-place': {
    severity: 'critical',
    timesMin: 1,
    what: 'devices are refused, because all places for connections are taken and nobody is idle',
    remedy: 'find the clients that hold so many connections; a floor with more devices needs an external broker',
  },
  'address-full': {
    severity: 'critical',
    timesMin: 1,
    what: 'devices are refused, because their address has as many connections as one may have',
    remedy: 'find the client there that opens connections and does not close them',
  },
  'idle-closed': {
    severity: 'warning',
    timesMin: 1,
    what: 'all places for connections are taken, and who was idle for longest has to go',
    remedy: 'find the clients that leave connections open, and give them a keepalive',
  },
  'taken-over': {
    severity: 'warning',
    timesMin: 3,
    what: 'a client id is taken over by another connection again and again',
    remedy: 'give every device a client id of its own; if it is only one device, its network breaks',
  },
  'client-id-too-long': {
    severity: 'warning',
    timesMin: 1,
    what: 'a client id has more than 256 characters, and its client was refused',
    remedy: 'give the client a shorter id',
  },
  'will-refused': {
    severity: 'warning',
    timesMin: 1,
    what: 'a last will has more than 4 KiB or a topic that nobody can publish to, and was left out',
    remedy: 'give the client a shorter will, or none',
  },
  'packet-too-large': {
    severity: 'warning',
    timesMin: 1,
    what: 'a packet that is not a message has more than 16 KiB, and its connection was closed',
    remedy: 'let that program subscribe to fewer filters at a time, or use wildcards',
  },
  'reserved-topic': {
    severity: 'warning',
    timesMin: 3,
    what: 'a client publishes to topics that begin with $, which are answered and dropped',
    remedy: 'if it is a bridge, set "notifications false" there; otherwise let the client publish to other topics',
  },
  'subscriber-slow': {
    severity: 'warning',
    timesMin: 1,
    what: 'a subscriber reads more slowly than messages come, and loses some',
    remedy: 'let that program subscribe to less, or see why it is slow',
  },
  'subscriber-stalled': {
    severity: 'warning',
    timesMin: 1,
    what: 'a subscriber read nothing for 10 s while messages were dropped for it, and its connection was closed',
    remedy: 'see why that program does not read; a computer that sleeps does not',
  },
  'subscribers-busy': {
    severity: 'warning',
    timesMin: 1,
    what: 'messages were passed on to no subscriber, because there were more than can be passed on; one of them came from',
    remedy: 'subscribe to less, or with fewer programs; readings are not affected',
  },
  'filter-too-long': {
    severity: 'warning',
    timesMin: 1,
    what: 'a subscription was refused because its filter has more than 512 characters',
    remedy: 'let that program use a wildcard',
  },
  'subscriptions-client': {
    severity: 'warning',
    timesMin: 1,
    what: 'a subscription was refused because its client has 1,000 already',
    remedy: 'let that program use wildcards',
  },
  'subscriptions-all': {
    severity: 'warning',
    timesMin: 1,
    what: 'a subscription was refused because all clients together have 5,000 already',
    remedy: 'find out which program subscribes so often, and let it use wildcards',
  },
  'session-forgotten': {
    severity: 'warning',
    timesMin: 1,
    what: 'the session of an absent client was forgotten, because there are too many',
    remedy: 'let clients whose ids change connect with a clean session',
  },
  unfinished: {
    severity: 'warning',
    timesMin: 1,
    what: 'a connection was closed because its client never finished messages of QoS 2',
    remedy: 'let that client use QoS 1, or send PUBREL',
  },
} as const satisfies Readonly<Record<string, DoorRule>>;

export type DoorReason = keyof typeof DOOR_REASONS;

/** All reasons, in the order of the table. */
export const DOOR_REASON_NAMES = Object.keys(DOOR_REASONS) as readonly DoorReason[];

/** A client that causes the same again and again. */
export interface DoorStreak {
  /** The client, in words: user, client id and address, as far as they are known. */
  readonly who: string;
  readonly times: number;
  readonly since: EpochMs;
  readonly at: EpochMs;
}

export interface DoorView {
  /** Since the start. */
  readonly count: number;
  /** The client that caused it most often of late; null: it was quiet for `limits.doorQuietMs`. */
  readonly worst: DoorStreak | null;
}

/** What the embedded broker has refused, dropped or closed, by reason. */
export type DoorViews = Readonly<Record<DoorReason, DoorView>>;

interface Tally {
  count: number;
  /** By client, the one that was noted last at the end. */
  readonly streaks: Map<string, DoorStreak>;
}

/** Counts what is refused at the door by reason, and remembers who caused it lately. */
export class DoorLog {
  readonly #tallies = new Map<DoorReason, Tally>(
    DOOR_REASON_NAMES.map((reason) => [reason, { count: 0, streaks: new Map() }]),
  );
  readonly #now: () => number;

  /** @param now the time, in milliseconds since 1970. */
  constructor(now: () => number = Date.now) {
    this.#now = now;
  }

  /**
   * @param who the client, in words. What it said itself must be shortened and escaped, see {@link quoted}.
   * @param key tells clients apart; usually the part of `who` that stays the same.
   */
  note(reason: DoorReason, who: string, key = who): void {
    const tally = this.#tallies.get(reason);
    if (tally === undefined) return;
    tally.count += 1;
    const at = epochMs(this.#now());
    const known = tally.streaks.get(key);
    const goesOn = known !== undefined && isRecent(known, at);
    tally.streaks.delete(key);
    tally.streaks.set(key, { who, times: goesOn ? known.times + 1 : 1, since: goesOn ? known.since : at, at });
    const [oldest] = tally.streaks.keys();
    if (tally.streaks.size > limits.doorClientsMax && oldest !== undefined) tally.streaks.delete(oldest);
  }

  /** How often each reason was noted, and who caused it most often of late. */
  view(): DoorViews {
    const at = this.#now();
    const views = [...this.#tallies].map(([reason, { count, streaks }]) => {
      let worst: DoorStreak | null = null;
      for (const streak of streaks.values())
        if (isRecent(streak, at) && streak.times >= (worst?.times ?? 0)) worst = streak;
      return [reason, { count, worst } satisfies DoorView] as const;
    });
    return Object.fromEntries(views) as unknown as DoorViews;
  }
}

/** Also after a step of the clock: what seems to lie in the future is recent. */
const isRecent = (streak: DoorStreak, at: number): boolean => at - streak.at < limits.doorQuietMs;

/** What a client calls itself, at most 60 characters, with everything escaped that does not show as itself. */
export const quoted = (name: string): string =>
  JSON.stringify(name.length > 60 ? `${name.slice(0, 60)}…` : name).replaceAll(
    /[\p{C}\p{Zl}\p{Zp}]/gu,
    (c) => `\\u{${(c.codePointAt(0) ?? 0).toString(16)}}`,
  );
