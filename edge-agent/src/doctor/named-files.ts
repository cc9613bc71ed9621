import type { AgentConfig } from '../config.ts';

/** A file that the configuration names. */
export interface NamedFile {
  readonly field: string;
  readonly path: string;
  /** Whether others must not read it. */
  readonly secret: boolean;
  readonly kind: 'users' | 'secret' | 'certificate' | 'key';
}

/** All files that the configuration names. */
export function namedFiles({ broker, nats, http }: AgentConfig): NamedFile[] {
  const files: NamedFile[] = [];
  const add = (field: string, path: string | undefined, kind: NamedFile['kind']): void => {
    if (path !== undefined) files.push({ field, path, kind, secret: kind !== 'certificate' });
  };
  if (broker.kind === 'embedded') add('broker.usersFile', broker.usersFile, 'users');
  else {
    add('broker.passwordFile', broker.passwordFile, 'secret');
    add('broker.tls.caFile', broker.tls?.caFile, 'certificate');
    add('broker.tls.certFile', broker.tls?.certFile, 'certificate');
    add('broker.tls.keyFile', broker.tls?.keyFile, 'key');
  }
  add('nats.credentialsFile', nats.credentialsFile, 'secret');
  add('nats.nkeyFile', nats.nkeyFile, 'secret');
  add('nats.tokenFile', nats.tokenFile, 'secret');
  add('nats.tls.caFile', nats.tls?.caFile, 'certificate');
  add('nats.tls.certFile', nats.tls?.certFile, 'certificate');
  add('nats.tls.keyFile', nats.tls?.keyFile, 'key');
  add('http.tokenFile', http.tokenFile, 'secret');
  return files;
}
