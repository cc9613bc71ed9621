import { X509Certificate } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';

import { days } from '@floorwatch/contracts';
import { messageOf, systemCodeOf } from '@floorwatch/runtime';

import { BrokerUsers } from '../../ingest/broker-users.ts';
import type { Check } from '../check.ts';
import { critical, type Finding, ok, warning } from '../finding.ts';
import { type NamedFile, namedFiles } from '../named-files.ts';

const OTHERS_READ = 0o004;
const OTHERS_WRITE = 0o002;

/** Whether the files that the configuration names can be read, by the right people, and hold what they should. */
export const checkFiles: Check = {
  name: 'files',
  of: 'gateway',
  async run({ config, configFile }) {
    const files = namedFiles(config);
    const findings = [await rightsOf({ field: 'the configuration', path: configFile, secret: false }), []].flat();
    for (const file of files) {
      findings.push(...((await rightsOf(file)) ?? []), ...((await contentOf(file)) ?? []));
    }
    const some =
      files.length === 1 ? 'the file that the configuration names is' : 'the files that the configuration names are';
    const all = files.length === 0 ? 'the configuration names no files' : `${some} there, and safe from others`;
    return findings.length === 0 ? [ok(all)] : findings;
  },
};

type Rights = Pick<NamedFile, 'field' | 'path' | 'secret'>;

async function rightsOf({ field, path, secret }: Rights): Promise<Finding[]> {
  let mode: number;
  try {
    mode = (await stat(path)).mode;
  } catch {
    // What reads the content says it.
    return [];
  }
  if (process.platform === 'win32') return [];
  if ((mode & OTHERS_WRITE) !== 0) {
    const finding = `${field}: every user of this machine may change ${path}`;
    return [critical(finding, `sudo chmod o-w ${path}`, 'secrets')];
  }
  if (secret && (mode & OTHERS_READ) !== 0) {
    const finding = `${field}: every user of this machine may read ${path}, which holds a secret`;
    return [
      warning(finding, `sudo chmod o-rwx ${path}; the agent's own user must still be able to read it`, 'secrets'),
    ];
  }
  return [];
}

async function contentOf({ field, path, kind }: NamedFile): Promise<Finding[]> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    return [unreadable(field, path, kind, error)];
  }
  if (text.trim() === '') {
    return [critical(`${field}: ${path} is empty`, remedyOf(field, path, kind), 'secrets')];
  }
  if (kind === 'certificate') return judgeCertificate(field, path, text, Date.now());
  return kind === 'users' ? ofUsers(path) : [];
}

function unreadable(field: string, path: string, kind: NamedFile['kind'], error: unknown): Finding {
  const code = systemCodeOf(error);
  if (code === 'ENOENT') return critical(`${field}: ${path} is not there`, remedyOf(field, path, kind), 'secrets');
  const isDenied = code === 'EACCES';
  const remedy = isDenied ? 'let the agent’s user read it (chown, chmod)' : `correct ${field}`;
  const why = isDenied ? 'may not be read by this user' : `can't be read: ${messageOf(error)}`;
  return critical(`${field}: ${path} ${why}`, `${remedy}; the agent does not start without it`, 'secrets');
}

function remedyOf(field: string, path: string, kind: NamedFile['kind']): string {
  const make = kind === 'users' ? `make it with "floorwatch-agent hash-password <user> >> ${path}"` : 'put it there';
  return `${make}, or correct ${field}; the agent does not start without it`;
}

async function ofUsers(path: string): Promise<Finding[]> {
  try {
    await BrokerUsers.load(path);
    return [];
  } catch (error) {
    return [critical(messageOf(error), 'correct the line; the agent does not start without it', 'secrets')];
  }
}

/** Whether a certificate has run out, or soon will. Of several in one file the first is looked at. */
export function judgeCertificate(field: string, path: string, pem: string, now: number): Finding[] {
  let until: number;
  try {
    until = Date.parse(new X509Certificate(pem).validTo);
  } catch (error) {
    const finding = `${field}: ${path} holds no certificate in PEM: ${messageOf(error)}`;
    return [critical(finding, 'put the right file there', 'secrets')];
  }
  const day = new Date(until).toISOString().slice(0, 10);
  if (until < now) {
    const remedy = 'get a new one, and look at the clock of this gateway, which may be wrong instead';
    return [critical(`${field}: the certificate in ${path} ran out on ${day}`, remedy, 'secrets')];
  }
  if (until - now < days(30)) {
    return [warning(`${field}: the certificate in ${path} runs out on ${day}`, 'get a new one before', 'secrets')];
  }
  return [];
}
