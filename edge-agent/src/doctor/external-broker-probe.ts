import { randomUUID } from 'node:crypto';

import { messageOf, readSecret, readTlsFiles, systemCodeOf } from '@floorwatch/runtime';
import { connectAsync, ErrorWithReasonCode, ErrorWithSubackPacket, type MqttClient } from 'mqtt';

import type { AgentConfig } from '../config.ts';
import { ReadingDecoder } from '../ingest/reading-decoder.ts';
import { UnitNames } from '../ingest/unit-names.ts';
import { limits } from '../limits.ts';

/** What keeps the agent from using a broker. */
export interface BrokerFault {
  readonly what: string;
  readonly remedy: string;
}

type ExternalBrokerConfig = Extract<AgentConfig['broker'], { readonly kind: 'external' }>;

/** CONNACK return codes of MQTT 3.1.1 (3.2.2.3) that speak of who connects. */
const REFUSED = 128;
const REFUSES_CLIENT: ReadonlySet<number> = new Set([2, 4, 5]);

/**
 * Connects with the agent's user and subscribes to what the agent subscribes to, under a client id of its own and without a session: the
 * agent's own connection and what the broker keeps for it stay as they are.
 *
 * @returns undefined if the agent would get its readings.
 */
export async function tryExternalBroker(
  { url, user, passwordFile, tls }: ExternalBrokerConfig,
  topics: AgentConfig['topics'],
  signal: AbortSignal,
): Promise<BrokerFault | undefined> {
  let client: MqttClient | undefined;
  try {
    const password = await readSecret('MQTT password', passwordFile, 'FLOORWATCH_MQTT_PASSWORD');
    const certificates = await readTlsFiles(tls ?? {}, 'broker.tls');
    const options = {
      ...certificates,
      clientId: `floorwatch-doctor-${randomUUID().slice(0, 8)}`,
      clean: true,
      reconnectPeriod: 0,
      connectTimeout: limits.doctorAskMsMax,
      protocolVersion: 4 as const,
      ...(user === undefined ? {} : { username: user }),
      ...(password === undefined ? {} : { password }),
    };
    client = await connectAsync(url, options, false);
    client.on('error', () => undefined);
    signal.throwIfAborted();
    // At QoS 0 the broker owes nothing for what comes until the connection ends.
    const { filters } = new ReadingDecoder(topics, 1, new UnitNames());
    const granted = await grantedQos(client, filters);
    const refused = filters.filter((_filter, index) => (granted[index] ?? REFUSED) > 2);
    if (refused.length === 0) return undefined;
    return {
      what: `the broker refuses the subscription to ${refused.join(', ')}`,
      remedy: 'give this user the right to read these topics there',
    };
  } catch (error) {
    return faultOf(error);
  } finally {
    await client?.endAsync(true);
  }
}

/** The broker's answer to each subscription: 0 to 2, or {@link REFUSED} (MQTT 3.1.1, 3.9.3). */
async function grantedQos(client: MqttClient, filters: readonly string[]): Promise<readonly number[]> {
  try {
    return (await client.subscribeAsync([...filters], { qos: 0 })).map(({ qos }) => qos);
  } catch (error) {
    if (error instanceof ErrorWithSubackPacket) return error.packet.granted.map(Number);
    throw error;
  }
}

function faultOf(error: unknown): BrokerFault {
  if (error instanceof ErrorWithReasonCode && REFUSES_CLIENT.has(error.code)) {
    const remedy = 'correct broker.user and the password in broker.passwordFile, or let this user in there';
    return { what: `the broker refuses this user: ${error.message}`, remedy };
  }
  const cause = error instanceof AggregateError ? error.errors[0] : error;
  switch (systemCodeOf(cause)) {
    case 'ECONNREFUSED':
      return { what: 'nothing listens there', remedy: 'start the broker, or correct broker.url' };
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return { what: 'the name is not known', remedy: 'correct broker.url, or the name service of this gateway' };
    case undefined:
      return { what: messageOf(error), remedy: 'see whether the broker runs and the network leads there' };
    default:
      return { what: messageOf(error), remedy: 'see whether the network leads there, and broker.tls if it is set' };
  }
}
