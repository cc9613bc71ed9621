import type { Socket } from 'node:net';

import { isLoopback } from '@floorwatch/runtime';
import type { Client } from 'aedes';

import { quoted } from './door-log.ts';

/** Groups of an IPv6 address that name a network; its machines choose the other four as they like, and change them. */
const NETWORK_GROUPS = 4;
const GROUPS = 8;

/**
 * What stands for one machine when clients share something: an IPv4 address, or the /64 network of an IPv6 address. An IPv4 address in IPv6
 * clothes (`::ffff:10.0.0.7`) is the IPv4 address.
 */
export function addressOf(socket: Pick<Socket, 'remoteAddress'>): string {
  const address = (socket.remoteAddress ?? 'unknown').replace(/%.*$/, '');
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address);
  if (mapped?.[1] !== undefined) return mapped[1];
  return address.includes(':') && !isLoopback(address) ? networkOf(address) : address;
}

/** A client, for a person: `client "press" at 10.0.0.7`. */
export const clientInWords = ({ id, conn }: Pick<Client, 'id' | 'conn'>): string =>
  `client ${quoted(id)} at ${addressOf(conn as Socket)}`;

/** `2001:db8::1` → `2001:db8:0:0::/64`. */
function networkOf(address: string): string {
  const [head = '', tail] = address.toLowerCase().split('::');
  const before = head === '' ? [] : head.split(':');
  const after = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = Array.from({ length: Math.max(0, GROUPS - before.length - after.length) }, () => '0');
  return `${[...before, ...zeros, ...after].slice(0, NETWORK_GROUPS).join(':')}::/64`;
}
