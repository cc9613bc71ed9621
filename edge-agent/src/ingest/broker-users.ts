import { randomBytes, scrypt, timingSafeEqual } from 'node:crypto';
import { readFile } from 'node:fs/promises';

import { messageOf, StartError } from '@floorwatch/runtime';

/** 16 MiB and about 50 ms for a guess (200 ms on a Raspberry Pi): dear for a list of passwords, bearable at a device's start. */
const COST = { N: 2 ** 14, r: 8, p: 1 } as const;
const KEY_BYTES = 32;
const SALT_BYTES = 16;
/** About ten thousand users; more belong on a broker of their own. */
const USERS_FILE_BYTES_MAX = 1024 * 1024;

interface StoredPassword {
  readonly salt: Buffer;
  readonly key: Buffer;
}

/** Who may connect to the embedded broker. */
export class BrokerUsers {
  readonly #users: ReadonlyMap<string, StoredPassword>;
  /** Compared with when there is no such user, so that the answer takes as long and does not tell. */
  readonly #nobody: StoredPassword = { salt: randomBytes(SALT_BYTES), key: randomBytes(KEY_BYTES) };

  constructor(users: ReadonlyMap<string, StoredPassword>) {
    this.#users = users;
  }

  /**
   * Reads a file with one user per line: `name:scrypt:<salt>:<key>`, as {@link userLine} makes them. Empty lines and those that
   * begin with `#` are ignored.
   *
   * @throws StartError that names the file and the line.
   */
  static async load(file: string): Promise<BrokerUsers> {
    let text: string;
    try {
      text = await readFile(file, 'utf8');
    } catch (error) {
      throw new StartError('secret-missing', `broker.usersFile: ${file} can't be read: ${messageOf(error)}`, {
        cause: error,
      });
    }
    const users = new Map<string, StoredPassword>();
    const wrong = (line: number, why: string): StartError =>
      new StartError('config-invalid', `broker.usersFile: ${file}, line ${line}: ${why}; ${HINT}`);
    if (text.length > USERS_FILE_BYTES_MAX) throw wrong(1, 'the file is too large');
    for (const [index, line] of text.split(/\r?\n/).entries()) {
      if (line.trim() === '' || line.startsWith('#')) continue;
      const parsed = parseUserLine(line);
      if (parsed === undefined) throw wrong(index + 1, 'is not name:scrypt:salt:key');
      if (users.has(parsed.name)) throw wrong(index + 1, `user ${parsed.name} is there already`);
      users.set(parsed.name, parsed.stored);
    }
    if (users.size === 0) throw wrong(1, 'the file names no user');
    return new BrokerUsers(users);
  }

  /** Whether there is such a user. */
  has(name: string): boolean {
    return this.#users.has(name);
  }

  /** Whether `password` is the one of `name`; takes about 50 ms of a thread, whoever asks. */
  async check(name: string, password: Uint8Array): Promise<boolean> {
    const user = this.#users.get(name);
    const { salt, key } = user ?? this.#nobody;
    return timingSafeEqual(await derive(password, salt), key) && user !== undefined;
  }
}

const HINT = 'make lines with "floorwatch-agent hash-password <user>"';

/** The line of the users file for a user; a new salt every time. */
export async function userLine(name: string, password: string): Promise<string> {
  const salt = randomBytes(SALT_BYTES);
  const key = await derive(Buffer.from(password), salt);
  return `${name}:scrypt:${salt.toString('base64')}:${key.toString('base64')}`;
}

/** Whether `name` can stand in the users file. */
export const isUserName = (name: string): boolean => /^[^\s:#\p{C}][^:\p{C}]{0,127}$/u.test(name);

function parseUserLine(line: string): { name: string; stored: StoredPassword } | undefined {
  const [name, scheme, saltText, keyText, ...rest] = line.trim().split(':');
  if (name === undefined || !isUserName(name) || scheme !== 'scrypt' || rest.length > 0) return undefined;
  const stored = { salt: Buffer.from(saltText ?? '', 'base64'), key: Buffer.from(keyText ?? '', 'base64') };
  return stored.salt.length === SALT_BYTES && stored.key.length === KEY_BYTES ? { name, stored } : undefined;
}

const derive = async (password: Uint8Array, salt: Uint8Array): Promise<Buffer> =>
  new Promise((resolve, reject) => {
    scrypt(password, salt, KEY_BYTES, { ...COST, maxmem: 64 * 1024 * 1024 }, (error, key) => {
      if (error === null) resolve(key);
      else reject(error);
    });
  });
