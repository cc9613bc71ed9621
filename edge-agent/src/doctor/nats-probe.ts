import { gatewayInbox } from '@floorwatch/contracts';
import { messageOf, natsConnectionOptions, StartError, systemCodeOf } from '@floorwatch/runtime';
import { connect, errors, headers, type NatsConnection, type PermissionViolationError } from '@nats-io/transport-node';

import type { AgentConfig } from '../config.ts';
import { limits } from '../limits.ts';
import { critical, type Finding, warning } from './finding.ts';

/** A connection of the doctor's own to one server, or why there is none. */
export type NatsAttempt = { readonly connection: NatsConnection } | { readonly fault: Finding };

/** Connects to one server once, with the agent's credentials. The caller closes the connection. Never throws. */
export async function tryNats({ site, gateway, nats }: AgentConfig, server: string): Promise<NatsAttempt> {
  try {
    const options = await natsConnectionOptions(
      { ...nats, servers: [server] },
      'floorwatch-agent doctor',
      gatewayInbox({ site, gateway }),
    );
    const timeout = limits.doctorAskMsMax;
    const once = { ...options, reconnect: false, maxReconnectAttempts: 0, timeout, ignoreClusterUpdates: true };
    return { connection: await connect(once) };
  } catch (error) {
    return { fault: faultOf(server, error) };
  }
}

const NAME_UNKNOWN = ['the name is not known', 'correct nats.servers, or the name service of this gateway'] as const;
const NO_WAY = ['no way leads there', 'see to the network of this gateway'] as const;

/** By the system's code: what it means and what to do. */
const NETWORK_FAULTS: ReadonlyMap<string, readonly [string, string]> = new Map<string, readonly [string, string]>([
  ['ECONNREFUSED', ['nothing listens there', 'start the NATS server, or correct nats.servers']],
  ['ENOTFOUND', NAME_UNKNOWN],
  ['EAI_AGAIN', NAME_UNKNOWN],
  ['EHOSTUNREACH', NO_WAY],
  ['ENETUNREACH', NO_WAY],
  ['ETIMEDOUT', NO_WAY],
]);

function faultOf(server: string, error: unknown): Finding {
  if (error instanceof StartError) return critical(error.message, 'the agent does not start without it', 'secrets');
  const causes = [error, error instanceof Error ? error.cause : undefined];
  if (
    causes.some(
      (one) => one instanceof errors.AuthorizationError || one instanceof errors.UserAuthenticationExpiredError,
    )
  ) {
    const remedy =
      'correct nats.nkeyFile, nats.credentialsFile or nats.tokenFile (or FLOORWATCH_NATS_TOKEN), or let this user in there';
    return critical(`${server} refuses the credentials of this gateway: ${messageOf(error)}`, remedy, 'nats');
  }
  const code = causes.map(systemCodeOf).find((known) => known !== undefined);
  const known = NETWORK_FAULTS.get(code ?? '');
  if (known !== undefined) return warning(`${server}: ${known[0]}`, known[1], 'nats');
  if (causes.some((one) => one instanceof errors.TimeoutError)) {
    const remedy = 'see whether a firewall is in between, and whether a NATS server listens at this port';
    return warning(`${server}: no answer within ${limits.doctorAskMsMax / 1_000} s`, remedy, 'nats');
  }
  if (isCertificateTrouble(code, messageOf(error))) {
    const remedy = 'see nats.tls and the clock of this gateway; a certificate counts only between two dates';
    return warning(`${server}: TLS fails: ${messageOf(error)}`, remedy, 'nats');
  }
  return warning(`${server}: ${messageOf(error)}`, 'see whether a NATS server listens there', 'nats');
}

/** OpenSSL's codes have no common form: `CERT_HAS_EXPIRED`, `SELF_SIGNED_CERT_IN_CHAIN`, `ERR_TLS_…`, `ERR_SSL_…`. */
const isCertificateTrouble = (code: string | undefined, message: string): boolean =>
  /CERT|TLS|SSL/.test(code ?? '') || /certificate|tls/i.test(message);

/** Whether the server lets this user subscribe to a subject. Nothing is read. */
export async function findSubscribeFault(
  connection: NatsConnection,
  subject: string,
): Promise<PermissionViolationError | undefined> {
  let fault: PermissionViolationError | undefined;
  const subscription = connection.subscribe(subject, {
    callback: (error) => {
      if (error instanceof errors.PermissionViolationError) fault = error;
    },
  });
  // The server answers in order: what it refuses is known before it answers the ping.
  await connection.flush();
  subscription.unsubscribe();
  return fault;
}

/** What became of a message that must not be stored. */
export type PublishAnswer =
  | { readonly kind: 'taken' }
  | { readonly kind: 'no-stream' }
  | { readonly kind: 'denied'; readonly error: PermissionViolationError }
  | { readonly kind: 'unknown'; readonly why: string };

/** No stream has this name, so JetStream checks everything and then refuses the message: code 10060. */
const NO_STREAM = 'FLOORWATCH-DOCTOR';
const WRONG_STREAM = 10_060;

/** Whether a batch could be published to a subject. JetStream is told to expect it in another stream, and so stores nothing. */
export async function tryPublish(connection: NatsConnection, subject: string): Promise<PublishAnswer> {
  const header = headers();
  header.set('Nats-Expected-Stream', NO_STREAM);
  try {
    const answer = await connection.request(subject, '', { headers: header, timeout: limits.doctorAskMsMax });
    const { error } = answer.json<{ error?: { err_code?: number; description?: string } }>();
    if (error?.err_code === WRONG_STREAM) return { kind: 'taken' };
    return { kind: 'unknown', why: error?.description ?? 'something other than JetStream answers' };
  } catch (error) {
    const causes = [error, error instanceof Error ? error.cause : undefined];
    const denied = causes.find((one) => one instanceof errors.PermissionViolationError);
    if (denied !== undefined) return { kind: 'denied', error: denied };
    if (causes.some((one) => one instanceof errors.NoRespondersError)) return { kind: 'no-stream' };
    return { kind: 'unknown', why: messageOf(error) };
  }
}
