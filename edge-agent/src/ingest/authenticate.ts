import type { Socket } from 'node:net';

import type { Client } from 'aedes';

import { addressOf } from './client-address.ts';
import { type DoorLog, quoted } from './door-log.ts';
import type { Credentials, Logins } from './logins.ts';

/** Return codes of CONNACK (MQTT 3.1.1, table 3.1); aedes' own names for them do not exist at run time. */
const SERVER_UNAVAILABLE = 3;
const BAD_CREDENTIALS = 4;

/** As aedes wants to have it: the error, and whether the client may connect. */
type Done = (error: (Error & { returnCode: number }) | null, success: boolean | null) => void;

/** Has the password of a client checked, and counts it when it is turned away. Does not call `done` when the client has gone meanwhile. */
export async function authenticate(
  logins: Logins,
  { conn, id }: Client,
  credentials: Credentials,
  door: DoorLog,
  done: Done,
): Promise<void> {
  const socket = conn as Socket;
  const address = addressOf(socket);
  const gone = new AbortController();
  const leave = (): void => gone.abort();
  socket.once('close', leave);
  const outcome = await logins.check(credentials, address, gone.signal);
  socket.off('close', leave);
  if (outcome === 'gone') return;
  if (outcome === 'right') {
    done(null, true);
    return;
  }
  const { name } = credentials;
  const who = `user ${name === undefined ? '(none)' : quoted(name)}, client ${quoted(id)} at ${address}`;
  const isWrong = outcome === 'wrong';
  door.note(isWrong ? 'wrong-password' : 'logins-full', who, address);
  const error = new Error(`${who}: ${isWrong ? 'wrong name or password' : 'too many logins wait'}`);
  done(Object.assign(error, { returnCode: isWrong ? BAD_CREDENTIALS : SERVER_UNAVAILABLE }), false);
}
