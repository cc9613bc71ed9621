import { userLine } from '../../../edge-agent/src/ingest/broker-users.ts';

/** Users who log in for the first time during an attack. */
const LATE = 3;

/** What a client says of itself. */
interface Credentials {
  readonly username: string;
  readonly password: Buffer;
}

const credentialsOf = (username: string): Credentials => ({ username, password: Buffer.from(`secret of ${username}`) });

/** The user of everybody, unless a case says otherwise. */
export const GUEST = credentialsOf('guest');

/** A user of a round; each of the first rounds has one of its own. */
export const lateUser = (round: number): Credentials => credentialsOf(`late-${round % LATE}`);

/**
 * Users who log in before anybody attacks. Each check takes 16 MiB in whichever of the four threads of Node.js does it, and malloc keeps that for the next one:
 * an agent with users has it anyway after a few logins.
 */
export const EARLY = Array.from({ length: 12 }, (_, i) => credentialsOf(`early-${i}`));

/** The text of the broker's file of users. */
export async function usersText(): Promise<string> {
  const all = [GUEST, ...EARLY, ...Array.from({ length: LATE }, (_, i) => lateUser(i))];
  const lines = await Promise.all(all.map(async ({ username, password }) => userLine(username, password.toString())));
  return lines.join('\n');
}
