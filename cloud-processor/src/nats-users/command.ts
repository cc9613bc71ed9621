import { chmod, mkdir, readdir, readFile, rename, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { type GatewayName, gatewayKey, isName, parseGatewayToken, gatewayToken } from '@floorwatch/contracts';
import { messageOf, StartError } from '@floorwatch/runtime';
import { nkeys } from '@nats-io/transport-node';

import { type NatsUser, usersFile } from './users-file.ts';

export const NATS_USERS_HELP = `
Makes, in the folder:
  users.conf        for the nats-server ("include" it); public keys and rights
  processor.nkey    the key of the processors (nats.nkeyFile)
  gateways/*.nkey   the key of each gateway (nats.nkeyFile of its agent), named SITE.GATEWAY.nkey

Keys that are there stay, so run it again to add gateways. To take a gateway's rights away, remove its file and run it again. Afterwards let
the server read its configuration again: nats-server --signal reload.`;

const PROCESSOR_FILE = 'processor.nkey';
const GATEWAYS_DIR = 'gateways';
const SUFFIX = '.nkey';

/** What a run has done. */
export interface NatsUsersOutcome {
  /** Gateways whose keys were made, and all that have one. */
  readonly added: readonly string[];
  readonly gateways: readonly string[];
}

/**
 * Makes a NATS user for the processors and one for every gateway, and the file that lets them in. Doing it again changes nothing.
 *
 * @param names of gateways, `site/gateway`.
 * @throws StartError if a name is none, or the folder can't be used; then nothing was taken away.
 */
export async function makeNatsUsers(directory: string, names: readonly string[]): Promise<NatsUsersOutcome> {
  const wanted = names.map(parseGateway);
  const gatewaysDir = path.join(directory, GATEWAYS_DIR);
  try {
    await mkdir(gatewaysDir, { recursive: true });
    await chmod(gatewaysDir, 0o700);
    const added: string[] = [];
    for (const gateway of wanted) {
      if (await makeKey(path.join(gatewaysDir, gatewayToken(gateway) + SUFFIX))) added.push(gatewayKey(gateway));
    }
    await makeKey(path.join(directory, PROCESSOR_FILE));
    const users: NatsUser[] = [{ gateway: null, publicKey: await publicKeyIn(path.join(directory, PROCESSOR_FILE)) }];
    for (const file of (await readdir(gatewaysDir)).filter((name) => name.endsWith(SUFFIX)).sort()) {
      const gateway = parseGatewayToken(file.slice(0, -SUFFIX.length));
      if (gateway === undefined) throw new Error(`${file} in ${gatewaysDir} is not named after a gateway; remove it`);
      users.push({ gateway, publicKey: await publicKeyIn(path.join(gatewaysDir, file)) });
    }
    await replaceFile(path.join(directory, 'users.conf'), usersFile(users), 0o644);
    const gateways = users.flatMap(({ gateway }) => (gateway === null ? [] : [gatewayKey(gateway)]));
    return { added, gateways };
  } catch (error) {
    throw new StartError('usage', `--dir ${directory}: ${messageOf(error)}`, { cause: error });
  }
}

/** @throws StartError */
function parseGateway(text: string): GatewayName {
  const [site = '', gateway = '', ...rest] = text.split('/');
  if (rest.length > 0 || !isName(site) || !isName(gateway)) {
    throw new StartError('usage', `"${text}" is no gateway; give SITE/GATEWAY, as in the agent's configuration`);
  }
  return { site, gateway };
}

/** Returns false if there is one already. */
async function makeKey(file: string): Promise<boolean> {
  const seed = Buffer.from(nkeys.createUser().getSeed());
  try {
    await writeFile(file, `${seed.toString()}\n`, { mode: 0o600, flag: 'wx' });
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false;
    throw error;
  }
}

async function publicKeyIn(file: string): Promise<string> {
  const seed = (await readFile(file, 'utf8')).trim();
  try {
    return nkeys.fromSeed(new TextEncoder().encode(seed)).getPublicKey();
  } catch (error) {
    throw new Error(`${file} does not hold the seed of a NATS user; put it back, or remove it for a new one`, {
      cause: error,
    });
  }
}

/** A server that reads it meanwhile gets the old one or the new one. */
async function replaceFile(file: string, text: string, mode: number): Promise<void> {
  const draft = `${file}.new`;
  await writeFile(draft, text, { mode });
  await chmod(draft, mode);
  await rename(draft, file);
}
