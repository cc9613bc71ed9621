import type { EpochMs, Reading } from '@floorwatch/contracts';

import type { Transmission } from './message-identity.ts';

/** A message as a broker handed it over, before anything has looked at it. */
export interface RawMessage {
  readonly topic: string;
  readonly payload: Uint8Array;
  /** The gateway's clock when the message arrived. */
  readonly receivedAt: EpochMs;
  /** A copy that an external broker kept from earlier: counted, and not read. Always false on the embedded broker. */
  readonly retained: boolean;
  /** The client id of the device that sent it; undefined: not known, as behind an external broker. */
  readonly client?: string | undefined;
  /** How its device sent it, where that is known: not behind an external broker, and not of a last will. */
  readonly sent?: Transmission | undefined;
  /** A reading that a person released from quarantine. Topic and payload only say which one then, and its time is not judged again. */
  readonly released?: Reading;
}
