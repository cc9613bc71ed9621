import { type GatewayName, gatewayKey, gatewayRights } from '@floorwatch/contracts';

import { PROCESSOR_RIGHTS } from './processor-rights.ts';

/** A user of NATS: its public key, and whose it is. */
export interface NatsUser {
  readonly publicKey: string;
  /** Null: of the processors. */
  readonly gateway: GatewayName | null;
}

/**
 * The part of a nats-server's configuration that lets users in, each with the rights that it needs and no others. It holds public keys only,
 * so it is no secret.
 */
export function usersFile(users: readonly NatsUser[]): string {
  return [
    '# Made by "floorwatch-processor nats-users"; run that again instead of changing it. Public keys only.',
    'authorization {',
    '  users = [',
    ...users.flatMap(userLines),
    '  ]',
    '}',
    '',
  ].join('\n');
}

function userLines({ publicKey, gateway }: NatsUser): string[] {
  const { publish, subscribe } = gateway === null ? PROCESSOR_RIGHTS : gatewayRights(gateway);
  return [
    `    # ${gateway === null ? 'processors' : `gateway ${gatewayKey(gateway)}`}`,
    '    {',
    `      nkey: ${publicKey}`,
    '      permissions {',
    `        publish { allow = ${list(publish)} }`,
    `        subscribe { allow = ${list(subscribe)} }`,
    '      }',
    '    }',
  ];
}

const list = (subjects: readonly string[]): string => JSON.stringify(subjects).replaceAll(',', ', ');
