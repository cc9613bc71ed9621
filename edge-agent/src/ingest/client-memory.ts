import { limits } from '../limits.ts';
import { type CapturedSection, findSection, type StateSection } from '../state-section.ts';
import type { Claimant } from './duplicate-memory.ts';
import { KeyRings, uint32sOf } from './key-rings.ts';
import { type MessageIdentity, ownerOf, type Sender, shortClient, type Transmission } from './message-identity.ts';

const SECTION = 'clients';
const VERSION = 1;
/** Bits of a connection's number that an entry has room for, and behind them whether its message was answered. */
const CONNECTION_MASK = 0xffff;
const ANSWERED = 0x1_0000;
const PACKET_ID_MASK = 0xffff;
/** In the place of a packet identifier that another message has had since. */
const TAKEN_OVER = 0;

/** What is known of a client id. */
interface Client {
  readonly id: string;
  readonly number: number;
  readonly slot: number;
  /** Whether the journal holds its id. */
  isSafe: boolean;
  /** Number of the connection by which it last sent something. */
  connections: number;
  /** The first one by which something came that the journal holds; 0: there is none. */
  first: number;
  /** Whether it has said DUP: what it does not say that of is new. */
  usesDup: boolean;
  /** Messages that were taken and not settled. */
  open: number;
  /** The client whose last message is oldest is forgotten first. */
  used: number;
  /** Its last connection. */
  sender: Sender | undefined;
  isForgotten: boolean;
}

/** What a connection is for its client. */
interface Session {
  readonly sender: Sender;
  readonly client: Client;
  readonly connection: number;
  /** So many messages without DUP can still be what earlier connections left unanswered. */
  resendable: number;
}

interface Judgement {
  readonly isRepeat: boolean;
  /** Whether that is certain: its device says with DUP which message it may repeat, and that one can't have been forgotten. */
  readonly isJudged: boolean;
}

const REPEAT: Judgement = { isRepeat: true, isJudged: true };
const NEW: Judgement = { isRepeat: false, isJudged: true };
const NOT_JUDGED: Judgement = { isRepeat: false, isJudged: false };

/** A message with what tells whether it is a repeat, from when it is taken until it is settled. */
export class KnownMessage implements MessageIdentity, Claimant {
  readonly session: Session;
  readonly packetId: number;
  readonly hash: number;
  readonly usesDup: boolean;
  readonly clientId: string | undefined;
  readonly isRepeat: boolean;
  readonly repeatsOf: number | undefined;
  /** Whether its readings are to be compared with others. Not if MQTT has said already whether it is a repeat. */
  readonly isCompared: boolean;
  /** Whether it is remembered, and whether the journal is to hold it. */
  isAdded = false;
  isJournaled = false;

  constructor(session: Session, packetId: number, hash: number, { isRepeat, isJudged }: Judgement) {
    const { client } = session;
    const isKnown = client.first !== 0 && client.first !== session.connection;
    this.session = session;
    this.packetId = packetId;
    this.hash = hash;
    this.usesDup = client.usesDup;
    this.clientId = client.isSafe ? undefined : client.id;
    this.isRepeat = isRepeat;
    // What a client is known to have sent before is repeated by nobody else.
    this.repeatsOf = isRepeat || isKnown ? shortClient(client.number) : undefined;
    this.isCompared = isRepeat || !(isKnown && isJudged);
  }

  get client(): number {
    return this.session.client.number;
  }

  get connection(): number {
    return this.session.connection;
  }

  get owner(): number {
    return ownerOf(this.session.client.number, this.session.connection);
  }
}

/**
 * The last messages of every client of the embedded broker, by which it knows what their devices repeat.
 *
 * With DUP a message is a repeat if the last one of its client with its packet identifier had the same topic and payload. The first messages of a
 * connection without DUP are compared with what earlier ones left unanswered, each once: nobody has been told that those are counted. A client
 * that has ever said DUP sends nothing again without it. Everything else is new, unless a reading's time and value say otherwise.
 *
 * What it knows follows from the messages that became safe, in their order: a replay of the journal comes to the same. Only what was answered
 * the journal does not say, and all that it holds counts as that. Otherwise the first reading after every kill would be lost of a device that
 * sends the same number again and again.
 */
export class ClientMemory {
  readonly #clients = new Map<string, Client>();
  readonly #byNumber = new Map<number, Client>();
  readonly #sessions = new WeakMap<Sender, Session>();
  readonly #rings = new KeyRings(() => this.#messagesMax);
  readonly #freeSlots: number[] = [];
  #numbers = 0;
  #uses = 0;
  #forgotten = 0;

  get #messagesMax(): number {
    const share = Math.floor(limits.messagesRememberedShared / Math.max(1, this.#clients.size));
    return Math.min(limits.messagesRememberedMax, Math.max(limits.messagesRememberedMin, share));
  }

  /** Clients that are remembered. */
  get size(): number {
    return this.#clients.size;
  }

  /** Clients that were forgotten because there were too many. */
  get forgotten(): number {
    return this.#forgotten;
  }

  /** Judges a message. To be called in the order in which they came. @param hash of its topic and payload; 0 without a packet identifier. */
  take({ sender, packetId, isDup }: Transmission, hash: number): KnownMessage {
    const session = this.#sessionOf(sender);
    const message = new KnownMessage(session, packetId, hash, this.#judge(session, packetId, hash, isDup));
    if (packetId !== 0) session.client.open += 1;
    return message;
  }

  #judge(session: Session, packetId: number, hash: number, isDup: boolean): Judgement {
    const { client } = session;
    client.usesDup ||= isDup;
    if (packetId === 0) return client.usesDup ? NEW : NOT_JUDGED;
    return isDup ? this.#repeats(session, packetId, hash) : this.#resends(session, packetId, hash);
  }

  #sessionOf(sender: Sender): Session {
    const known = this.#sessions.get(sender);
    if (known !== undefined && !known.client.isForgotten) return known;
    const client = this.#clients.get(sender.clientId) ?? this.#add(sender.clientId, this.#numbers + 1);
    client.connections += 1;
    client.sender = sender;
    client.used = ++this.#uses;
    const session = { sender, client, connection: client.connections, resendable: 0 };
    // A device that repeats in order has done so within as many messages; some send others in between.
    session.resendable = 2 * this.#unanswered(session);
    this.#sessions.set(sender, session);
    return session;
  }

  #add(id: string, number: number): Client {
    if (this.#clients.size >= limits.clientsRememberedMax) this.#forgetOne();
    const slot = this.#freeSlots.pop() ?? this.#clients.size;
    const none = { isSafe: false, connections: 0, first: 0, usesDup: false, open: 0, used: 0 };
    const client: Client = { id, number, slot, ...none, sender: undefined, isForgotten: false };
    this.#clients.set(id, client);
    this.#byNumber.set(number, client);
    this.#numbers = Math.max(this.#numbers, number);
    return client;
  }

  /** Connections are fewer than the clients that are remembered, so that there is one without. */
  #forgetOne(): void {
    let oldest: Client | undefined;
    for (const client of this.#clients.values()) {
      if (client.open > 0 || client.sender?.isOpen === true) continue;
      if (oldest === undefined || client.used < oldest.used) oldest = client;
    }
    if (oldest === undefined) return;
    this.#forget(oldest);
    this.#forgotten += 1;
  }

  #forget(client: Client): void {
    client.isForgotten = true;
    this.#clients.delete(client.id);
    this.#byNumber.delete(client.number);
    this.#rings.clear(client.slot);
    this.#freeSlots.push(client.slot);
  }

  #repeats(session: Session, packetId: number, hash: number): Judgement {
    const { slot } = session.client;
    const ring = this.#rings.ringOf(slot);
    const count = this.#rings.count(slot);
    for (let index = count - 1; index >= 0; index--) {
      const at = this.#rings.placeOf(slot, index);
      if (ring[at] !== packetId) continue;
      if (ring[at + 1] !== hash) return NEW;
      this.#takeOver(session, index, packetId, hash, ring[at + 2]!);
      return REPEAT;
    }
    return this.#isForgotten(slot, packetId) ? NOT_JUDGED : NEW;
  }

  /** Whether a message that is not remembered can be older than those that are. Nearly all devices count identifiers up, and begin again behind the last. */
  #isForgotten(slot: number, packetId: number): boolean {
    const count = this.#rings.count(slot);
    if (count < this.#messagesMax) return false;
    const oldest = this.#rings.ringOf(slot)[this.#rings.placeOf(slot, 0)]!;
    return ((oldest - packetId) & PACKET_ID_MASK) < PACKET_ID_MASK / 2;
  }

  #resends(session: Session, packetId: number, hash: number): Judgement {
    if (session.client.usesDup) return NEW;
    if (session.resendable === 0) return NOT_JUDGED;
    session.resendable -= 1;
    const { slot } = session.client;
    const ring = this.#rings.ringOf(slot);
    const count = this.#rings.count(slot);
    for (let index = 0; index < count; index++) {
      const at = this.#rings.placeOf(slot, index);
      if (ring[at + 1] !== hash || !this.#isLeft(session, ring[at + 2]!)) continue;
      this.#forgetIdentifier(slot, packetId);
      this.#takeOver(session, index, packetId, hash, ring[at + 2]!);
      return REPEAT;
    }
    return NOT_JUDGED;
  }

  /** Whether an earlier connection left an entry unanswered. */
  #isLeft({ connection }: Session, owner: number): boolean {
    return (owner & ANSWERED) === 0 && (owner & CONNECTION_MASK) !== (connection & CONNECTION_MASK);
  }

  #unanswered(session: Session): number {
    const { slot } = session.client;
    const ring = this.#rings.ringOf(slot);
    let unanswered = 0;
    for (let index = this.#rings.count(slot) - 1; index >= 0; index--) {
      if (this.#isLeft(session, ring[this.#rings.placeOf(slot, index) + 2]!)) unanswered += 1;
    }
    return unanswered;
  }

  /** An entry belongs to this connection from now on, which repeats each one once, and under the identifier that it has here. */
  #takeOver(session: Session, index: number, packetId: number, hash: number, owner: number): void {
    const entry = (session.connection & CONNECTION_MASK) | (owner & ANSWERED);
    this.#rings.set(session.client.slot, index, packetId, hash, entry);
  }

  /** The last message with this identifier is about to be another one, further back in the ring. */
  #forgetIdentifier(slot: number, packetId: number): void {
    const ring = this.#rings.ringOf(slot);
    for (let index = this.#rings.count(slot) - 1; index >= 0; index--) {
      const at = this.#rings.placeOf(slot, index);
      if (ring[at] === packetId) this.#rings.set(slot, index, TAKEN_OVER, ring[at + 1]!, ring[at + 2]!);
    }
  }

  /**
   * Remembers a message that MQTT does not call a repeat; before the next one is taken, and as often as it has readings.
   *
   * @param isJournaled whether the journal is to hold the reading.
   */
  add(message: KnownMessage, isJournaled: boolean): void {
    const { session, packetId, hash } = message;
    message.isJournaled ||= isJournaled;
    if (packetId === 0 || message.isAdded) return;
    message.isAdded = true;
    this.#rings.add(session.client.slot, packetId, hash, session.connection & CONNECTION_MASK);
  }

  /** The oldest message that is not settled has become safe and is about to be answered, or is refused. */
  settle(message: KnownMessage, kept: boolean): void {
    const { session, packetId, isAdded, isJournaled, isRepeat } = message;
    const { client, sender, connection } = session;
    if (packetId !== 0) client.open -= 1;
    const isAnswered = kept && sender.isOpen;
    if (isRepeat && isAnswered) this.#answered(message);
    if (isAdded) this.#rings.settle(client.slot, kept, isAnswered ? ANSWERED : 0);
    if (kept && isJournaled) this.#brought(client, connection);
  }

  #answered({ session, packetId, hash }: KnownMessage): void {
    const { slot } = session.client;
    const ring = this.#rings.ringOf(slot);
    for (let index = this.#rings.count(slot) - 1; index >= 0; index--) {
      const at = this.#rings.placeOf(slot, index);
      if (ring[at] !== packetId) continue;
      if (ring[at + 1] === hash) this.#rings.set(slot, index, packetId, hash, ring[at + 2]! | ANSWERED);
      return;
    }
  }

  /** The journal holds something of this connection. */
  #brought(client: Client, connection: number): void {
    client.isSafe = true;
    client.used = ++this.#uses;
    if (client.first === 0) client.first = connection;
  }

  /** A message that the journal holds. @returns whose the keys of its readings are. */
  replay(message: MessageIdentity): number {
    const { client: number, clientId, connection, usesDup, packetId, hash } = message;
    const client = this.#byNumber.get(number) ?? this.#introduce(number, clientId);
    if (client !== undefined) {
      client.connections = Math.max(client.connections, connection);
      client.usesDup ||= usesDup;
      if (packetId !== 0) {
        this.#rings.add(client.slot, packetId, hash, connection & CONNECTION_MASK);
        this.#rings.settle(client.slot, true, ANSWERED);
      }
      this.#brought(client, connection);
    }
    return ownerOf(number, connection);
  }

  /** A client that the journal names; under another number it was forgotten. */
  #introduce(number: number, id: string | undefined): Client | undefined {
    if (id === undefined) return undefined;
    const former = this.#clients.get(id);
    if (former !== undefined) this.#forget(former);
    return this.#add(id, number);
  }

  /** The clients and their safe messages as they are at this moment, until {@link release}. */
  capture(): CapturedSection {
    const clients = [...this.#clients.values()]
      .filter(({ isSafe }) => isSafe)
      .sort((one, other) => one.used - other.used);
    const slots = this.#clients.size + this.#freeSlots.length;
    const numbersOf = (of: (client: Client) => number): Uint32Array => Uint32Array.from(clients, of);
    return {
      name: SECTION,
      version: VERSION,
      values: { ids: clients.map(({ id }) => id), slots, numbers: this.#numbers },
      arrays: {
        clients: numbersOf(({ number }) => number),
        slotOf: numbersOf(({ slot }) => slot),
        connections: numbersOf(({ connections }) => connections),
        first: numbersOf(({ first }) => first),
        usesDup: numbersOf(({ usesDup }) => Number(usesDup)),
        ...this.#rings.capture(slots),
      },
    };
  }

  /** The section of the last capture is not needed any more. */
  release(): void {
    this.#rings.release();
  }

  /** Takes up what a snapshot holds, on a fresh memory. @throws TypeError if the section is not what {@link capture} makes. */
  restore(sections: readonly StateSection[]): void {
    const section = findSection(sections, SECTION, VERSION);
    if (section === undefined) return;
    const { ids, slots, numbers } = (section.values ?? {}) as Partial<Record<'ids' | 'slots' | 'numbers', unknown>>;
    if (!isTexts(ids) || typeof slots !== 'number' || typeof numbers !== 'number')
      throw new TypeError(`section ${SECTION}: its values are not those of clients`);
    const arrayOf = (name: string): Uint32Array => uint32sOf(section, name, ids.length);
    const [ofClient, slotOf, connections] = [arrayOf('clients'), arrayOf('slotOf'), arrayOf('connections')];
    const [first, usesDup] = [arrayOf('first'), arrayOf('usesDup')];
    const bySlot = new Map<number, Client>();
    for (const [index, id] of ids.entries()) {
      const client = this.#add(id, ofClient[index]!);
      const known = { connections: connections[index]!, first: first[index]!, usesDup: usesDup[index] === 1 };
      Object.assign(client, known, { isSafe: true, used: ++this.#uses });
      bySlot.set(slotOf[index]!, client);
    }
    this.#numbers = numbers;
    this.#rings.restore(section, slots, (slot) => bySlot.get(slot)?.slot);
  }
}

const isTexts = (value: unknown): value is string[] =>
  Array.isArray(value) && value.every((text) => typeof text === 'string');
