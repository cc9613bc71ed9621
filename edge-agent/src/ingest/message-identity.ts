/** A connection of a device to the embedded broker. */
export interface Sender {
  readonly clientId: string;
  /** Whether an answer can still reach it. */
  readonly isOpen: boolean;
}

/** What MQTT says of a message besides its topic and its payload. */
export interface Transmission {
  readonly sender: Sender;
  /** The packet identifier; 0: it has none, being of QoS 0, and nobody repeats it. */
  readonly packetId: number;
  /** Whether its sender says that it may have sent it before. */
  readonly isDup: boolean;
}

/** What the journal keeps of a message with its first reading, so that its repeats are recognised after a kill. */
export interface MessageIdentity {
  /** The number that stands for the client id. */
  readonly client: number;
  /** The client id, unless the journal holds it already. */
  readonly clientId?: string | undefined;
  /** Which of the client's connections it came by, counted from 1. */
  readonly connection: number;
  readonly packetId: number;
  /** Of topic and payload, 32 bits; 0 without a packet identifier. */
  readonly hash: number;
  /** Whether its client has said DUP, of this message or of one before. */
  readonly usesDup: boolean;
}

// A client and one of its connections in 32 bits. A client that makes 16,384 connections within the last readings of one sensor, or the
// 262,144th client after another, can be taken for the other: one of its repeats may then be counted.
const CONNECTION_BITS = 14;
const CONNECTION_MASK = (1 << CONNECTION_BITS) - 1;
const CLIENT_MASK = (1 << (32 - CONNECTION_BITS)) - 1;

/** Whose a reading's key is: never 0 as long as clients are numbered from 1. */
export const ownerOf = (client: number, connection: number): number =>
  ((client << CONNECTION_BITS) | (connection & CONNECTION_MASK)) >>> 0;

/** The client of an owner, as {@link shortClient} has it. */
export const clientOf = (owner: number): number => owner >>> CONNECTION_BITS;

/** The part of a client's number that an owner has room for. */
export const shortClient = (client: number): number => client & CLIENT_MASK;
