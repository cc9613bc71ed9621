import { limits } from '../limits.ts';
import type { DoorReason } from './door-log.ts';

/** What it needs of a client of aedes. */
export interface SessionClient {
  readonly id: string;
  /** Whether the session ends with the connection. */
  readonly clean: boolean;
  /** Whether the connection has ended. */
  readonly closed: boolean;
  readonly conn: { destroy(): unknown };
}

interface Session {
  /** The client that is connected with it. Undefined: none is. */
  client: SessionClient | undefined;
  readonly filters: Set<string>;
  /** Packet identifiers of the messages of QoS 2 that are safe, and of which the client has not sent PUBREL. */
  readonly unfinished: Set<number>;
}

/**
 * The sessions of MQTT (3.1.2.4) in memory: which filters a client has subscribed to, and which messages of QoS 2 are unfinished. Messages
 * themselves are not kept. A session without either takes no room.
 *
 * There are at most `limits.sessionsMax` sessions with `limits.subscriptionsMax` filters and `limits.unfinishedMax` unfinished messages in all.
 * What is too much goes: first the sessions that are longest without a connection; of unfinished messages those of the session that has most. To
 * forget a session is allowed at any time (3.1.2.4); CONNACK tells the client, and readings that it repeats are recognised by what they are.
 */
export class Sessions {
  readonly #refuse: (reason: DoorReason, client: string) => void;
  /** By client id. Those without a connection are in the order in which they lost it. */
  readonly #sessions = new Map<string, Session>();
  #filters = 0;
  #unfinished = 0;

  /** @param refuse called for what is forgotten: why, and of which client id. */
  constructor(refuse: (reason: DoorReason, clientId: string) => void) {
    this.#refuse = refuse;
  }

  get counts(): { readonly sessions: number; readonly filters: number; readonly unfinished: number } {
    return { sessions: this.#sessions.size, filters: this.#filters, unfinished: this.#unfinished };
  }

  connected(client: SessionClient): void {
    const session = this.#sessions.get(client.id);
    if (session !== undefined) session.client = client;
  }

  disconnected(client: SessionClient): void {
    const session = this.#sessions.get(client.id);
    if (session === undefined || (session.client !== undefined && session.client !== client)) return;
    session.client = undefined;
    this.#sessions.delete(client.id);
    if (client.clean) this.#uncount(session);
    else this.#sessions.set(client.id, session);
    this.#makeRoom();
  }

  /** Remembers a filter beyond the connection, if its client wants that. */
  subscribe(client: SessionClient, filter: string): void {
    if (client.clean) return;
    const { filters } = this.#sessionOf(client);
    if (filters.has(filter)) return;
    filters.add(filter);
    this.#filters += 1;
    this.#makeRoom();
  }

  unsubscribe({ id }: Pick<SessionClient, 'id'>, filters: readonly string[]): void {
    const session = this.#sessions.get(id);
    if (session === undefined) return;
    for (const filter of filters) if (session.filters.delete(filter)) this.#filters -= 1;
    this.#letGo(id, session);
  }

  filtersOf(id: string): string[] {
    return [...(this.#sessions.get(id)?.filters ?? [])];
  }

  isUnfinished({ id }: Pick<SessionClient, 'id'>, messageId: number): boolean {
    return this.#sessions.get(id)?.unfinished.has(messageId) === true;
  }

  /** @returns whether there was room for it. */
  begin(client: SessionClient, messageId: number): boolean {
    // Nobody can finish it, and nobody will repeat it.
    if (client.clean && client.closed) return true;
    const { unfinished } = this.#sessionOf(client);
    if (unfinished.has(messageId)) return true;
    if (unfinished.size >= limits.unfinishedPerClientMax) {
      this.#refuse('unfinished', client.id);
      return false;
    }
    unfinished.add(messageId);
    this.#unfinished += 1;
    this.#makeRoom();
    return unfinished.has(messageId);
  }

  /** @returns whether it was unfinished. */
  finish({ id }: Pick<SessionClient, 'id'>, messageId: number): boolean {
    const session = this.#sessions.get(id);
    if (session?.unfinished.delete(messageId) !== true) return false;
    this.#unfinished -= 1;
    this.#letGo(id, session);
    return true;
  }

  /** Forgets the filters, or the unfinished messages, of a client that begins or ends a clean session. */
  forget(id: string, what: 'filters' | 'unfinished'): void {
    const session = this.#sessions.get(id);
    if (session === undefined) return;
    if (what === 'filters') this.#filters -= session.filters.size;
    else this.#unfinished -= session.unfinished.size;
    session[what].clear();
    this.#letGo(id, session);
  }

  #sessionOf(client: SessionClient): Session {
    const known = this.#sessions.get(client.id);
    if (known !== undefined) return known;
    // What was safe only when the connection had ended belongs to a session without one.
    const session = {
      client: client.closed ? undefined : client,
      filters: new Set<string>(),
      unfinished: new Set<number>(),
    };
    this.#sessions.set(client.id, session);
    return session;
  }

  #letGo(id: string, { filters, unfinished }: Session): void {
    if (filters.size === 0 && unfinished.size === 0) this.#sessions.delete(id);
  }

  #uncount({ filters, unfinished }: Session): void {
    this.#filters -= filters.size;
    this.#unfinished -= unfinished.size;
  }

  #makeRoom(): void {
    while (this.#sessions.size > limits.sessionsMax || this.#filters > limits.subscriptionsMax)
      if (!this.#forgetAbsent()) break;
    if (this.#unfinished > limits.unfinishedMax) this.#endMostUnfinished();
  }

  /** Forgets the session that is longest without a connection. @returns whether there was one. */
  #forgetAbsent(): boolean {
    for (const [id, session] of this.#sessions) {
      if (session.client !== undefined) continue;
      this.#sessions.delete(id);
      this.#uncount(session);
      this.#refuse('session-forgotten', id);
      return true;
    }
    return false;
  }

  /** Forgets the unfinished messages of the session that has most, and closes its connection. */
  #endMostUnfinished(): void {
    let most: readonly [string, Session] | undefined;
    for (const one of this.#sessions) if (one[1].unfinished.size > (most?.[1].unfinished.size ?? 0)) most = one;
    if (most === undefined) return;
    const [id, { client }] = most;
    this.#refuse('unfinished', id);
    this.forget(id, 'unfinished');
    client?.conn.destroy();
  }
}
