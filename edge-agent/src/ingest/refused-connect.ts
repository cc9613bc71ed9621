import type { Socket } from 'node:net';

import type { Client, ConnectPacket } from 'aedes';

import { limits } from '../limits.ts';
import { addressOf, clientInWords } from './client-address.ts';
import { type DoorLog, quoted } from './door-log.ts';

/** MQTT 3.1 and 3.1.1, as the protocol counts them. */
const VERSIONS: ReadonlySet<number> = new Set([3, 4]);
/** CONNACK with reason 0x84, unsupported protocol version, and no properties (MQTT 5, 3.2). */
const CONNACK_5 = Buffer.from([0x20, 0x03, 0x00, 0x84, 0x00]);
/** CONNACK with return code 1, unacceptable protocol version (MQTT 3.1.1, 3.2). */
const CONNACK_3 = Buffer.from([0x20, 0x02, 0x00, 0x01]);
/** CONNACK with return code 2, identifier rejected (MQTT 3.1.1, 3.2). */
const BAD_IDENTIFIER = Buffer.from([0x20, 0x02, 0x00, 0x02]);
/** Levels of a topic that can be looked up among filters. */
const TOPIC_LEVELS_MAX = 100;

/** A client was told why it can't connect, and counted. */
export class RefusedConnect extends Error {}

/**
 * Answers a client that asks for a version of MQTT that is not spoken here, in the words of its version, and counts it. aedes would answer in
 * those of MQTT 3.1.1, which a client of MQTT 5 takes for a broken packet.
 *
 * @param refused called when the client has been told; not called if the version is spoken.
 * @returns whether the version is spoken.
 */
function speaksVersion(
  client: Client,
  connect: { readonly protocolVersion?: number; readonly clientId: string },
  door: DoorLog,
  refused: (error: RefusedConnect) => void,
): boolean {
  const version = connect.protocolVersion ?? 0;
  if (VERSIONS.has(version)) return true;
  const address = addressOf(client.conn as Socket);
  door.note('protocol-version', `client ${quoted(connect.clientId)} at ${address}, MQTT ${version}`, address);
  client.conn.end(version === 5 ? CONNACK_5 : CONNACK_3, () => refused(new RefusedConnect(`speaks MQTT ${version}`)));
  return false;
}

/**
 * Whether a client may connect, before anybody asks who it is: its version is spoken, and its id is not too long to be remembered. If not, it is
 * told and counted.
 *
 * @param refused called when the client has been told.
 */
export function admitsConnect(
  client: Client,
  connect: ConnectPacket,
  door: DoorLog,
  refused: (error: RefusedConnect) => void,
): boolean {
  if (!speaksVersion(client, connect, door, refused)) return false;
  const { clientId: id } = connect;
  if (id.length <= limits.clientIdLengthMax) return true;
  const { conn } = client;
  door.note('client-id-too-long', clientInWords({ id, conn }), addressOf(conn as Socket));
  conn.end(BAD_IDENTIFIER, () => refused(new RefusedConnect(`a client id of ${id.length} characters`)));
  return false;
}

/** Leaves out a last will that is too large to be kept as long as the connection, or that nobody may publish; and counts it. */
export function boundWill({ conn }: Client, connect: ConnectPacket, door: DoorLog): void {
  const { will, clientId: id } = connect;
  if (will === undefined) return;
  const { topic, payload } = will;
  const isPublishable = topic !== '' && !/[#+]/.test(topic) && topic.split('/').length <= TOPIC_LEVELS_MAX;
  if (isPublishable && topic.length + payload.length <= limits.willBytesMax) {
    // Otherwise it would hold on to all that was read together with it.
    will.payload = Buffer.from(payload);
    return;
  }
  delete connect.will;
  door.note('will-refused', clientInWords({ id, conn }), id);
}

/** Counts a connection that ended before a CONNECT could be read, if what it sent was not MQTT. */
export function noteStranger({ conn }: Client, error: Error, door: DoorLog): void {
  const socket = conn as Socket;
  // An error of the system (the connection broke) has a code; a client that said nothing only takes a place.
  if (error instanceof RefusedConnect || 'code' in error || socket.bytesRead === 0) return;
  const address = addressOf(socket);
  door.note('not-mqtt', `${address} (${error.message.slice(0, 80)})`, address);
}
