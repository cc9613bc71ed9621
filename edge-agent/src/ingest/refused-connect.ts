import type { Socket } from 'node:net';

import type { Client } from 'aedes';

import { addressOf } from './client-address.ts';
import { type DoorLog, quoted } from './door-log.ts';

/** MQTT 3.1 and 3.1.1, as the protocol counts them. */
const VERSIONS: ReadonlySet<number> = new Set([3, 4]);
/** CONNACK with reason 0x84, unsupported protocol version, and no properties (MQTT 5, 3.2). */
const CONNACK_5 = Buffer.from([0x20, 0x03, 0x00, 0x84, 0x00]);
/** CONNACK with return code 1, unacceptable protocol version (MQTT 3.1.1, 3.2). */
const CONNACK_3 = Buffer.from([0x20, 0x02, 0x00, 0x01]);

/** A client was told why it can't connect, and counted. */
export class RefusedConnect extends Error {}

/**
 * Answers a client that asks for a version of MQTT that is not spoken here, in the words of its version, and counts it. aedes would answer in
 * those of MQTT 3.1.1, which a client of MQTT 5 takes for a broken packet.
 *
 * @param refused called when the client has been told; not called if the version is spoken.
 * @returns whether the version is spoken.
 */
export function speaksVersion(
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

/** Counts a connection that ended before a CONNECT could be read, if what it sent was not MQTT. */
export function noteStranger({ conn }: Client, error: Error, door: DoorLog): void {
  const socket = conn as Socket;
  // An error of the system (the connection broke) has a code; a client that said nothing only takes a place.
  if (error instanceof RefusedConnect || 'code' in error || socket.bytesRead === 0) return;
  const address = addressOf(socket);
  door.note('not-mqtt', `${address} (${error.message.slice(0, 80)})`, address);
}
