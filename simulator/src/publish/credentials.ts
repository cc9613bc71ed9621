import { readFile } from 'node:fs/promises';

import { messageOf, readSecret, StartError } from '@floorwatch/runtime';

import type { PublisherOptions } from './mqtt-publisher.ts';

/** Where the credentials stand; none of them on the command line itself, where others could read them. */
export interface CredentialFiles {
  readonly usernameFile?: string | undefined;
  readonly passwordFile?: string | undefined;
  readonly caFile?: string | undefined;
}

/**
 * Reads the user name, the password and the certificate authority.
 *
 * @throws StartError if a file can't be read.
 */
export async function readCredentials(
  files: CredentialFiles,
): Promise<Pick<PublisherOptions, 'username' | 'password' | 'ca'>> {
  const username = await readSecret('MQTT user name', files.usernameFile, 'FLOORWATCH_MQTT_USERNAME');
  const password = await readSecret('MQTT password', files.passwordFile, 'FLOORWATCH_MQTT_PASSWORD');
  return {
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
    ...(files.caFile === undefined ? {} : { ca: await readCertificate(files.caFile) }),
  };
}

async function readCertificate(file: string): Promise<Buffer> {
  try {
    return await readFile(file);
  } catch (error) {
    throw new StartError('secret-missing', `--ca-file ${file} can't be read: ${messageOf(error)}`, { cause: error });
  }
}

/**
 * Checks a broker's address.
 *
 * @throws StartError if it is not `mqtt://host:port` or `mqtts://host:port`, or holds a user or a password.
 */
export function checkBrokerUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url !== undefined && (url.username !== '' || url.password !== '')) {
    throw new StartError('usage', '--url: must not hold a user or a password; use --username-file and --password-file');
  }
  if (url === undefined || !['mqtt:', 'mqtts:'].includes(url.protocol) || url.hostname === '') {
    throw new StartError('usage', `--url ${text}: must be an address such as mqtt://127.0.0.1:1883`);
  }
  return text;
}
