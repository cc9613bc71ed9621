import { decodeFloorMessage, type FloorMessage, floorSubject, LANES, type Lane } from '@floorwatch/contracts';
import { pause } from '@floorwatch/runtime';
import type { NatsConnection } from '@nats-io/transport-node';

import type { Check, GatewayContext } from '../check.ts';
import { critical, type Finding, notice, ok, warning } from '../finding.ts';
import { findSubscribeFault, tryNats } from '../nats-probe.ts';

/** The processor speaks every 5 s; a little more. */
const HEAR_MS_MAX = 8_000;

/** Whether a cloud processor is there and how far it has come with this gateway; also tells whether it has heard another one by this name. */
export const checkProcessor: Check = {
  name: 'processor',
  of: 'gateway',
  msMax: 30_000,
  async run(context) {
    const { config } = context;
    for (const server of config.nats.servers) {
      const attempt = await tryNats(config, server);
      if ('fault' in attempt) continue;
      try {
        return await ofServer(attempt.connection, context);
      } finally {
        await attempt.connection.close();
      }
    }
    return [notice('how far the cloud processor has come can’t be known without NATS')];
  },
};

async function ofServer(connection: NatsConnection, { config, agent, signal }: GatewayContext): Promise<Finding[]> {
  const subject = floorSubject(config);
  if ((await findSubscribeFault(connection, subject)) !== undefined) {
    return [notice('this user may not hear how far the cloud processor has come with this gateway', 'see nats')];
  }
  const message = await hear(connection, subject, signal);
  return message === undefined ? [silent(agent)] : judgeFloors(message, agent);
}

function silent(agent: GatewayContext['agent']): Finding {
  const finding = `no cloud processor has said within ${HEAR_MS_MAX / 1_000} s how far it has come with this gateway`;
  const hasSent = agent.state === 'running' && LANES.some((lane) => agent.status.lanes[lane].recordsAcknowledged > 0);
  if (!hasSent) return notice(`${finding}; it speaks only of gateways that it has heard`);
  const remedy = 'see whether the processor runs; until it speaks, everything is kept here';
  return warning(finding, remedy, 'processor-silent');
}

async function hear(
  connection: NatsConnection,
  subject: string,
  signal: AbortSignal,
): Promise<FloorMessage | undefined> {
  const heard = new Promise<FloorMessage>((resolve) => {
    connection.subscribe(subject, {
      callback: (error, message) => {
        const decoded = error === null ? decodeFloorMessage(message.data) : undefined;
        if (decoded?.ok === true) resolve(decoded.message);
      },
    });
  });
  const over = new AbortController();
  const end = (): void => over.abort();
  signal.addEventListener('abort', end);
  try {
    return await Promise.race([heard, pause(HEAR_MS_MAX, over.signal).then(() => undefined)]);
  } finally {
    signal.removeEventListener('abort', end);
    end();
  }
}

/** What the processor says, next to what the agent says. */
export function judgeFloors(message: FloorMessage, agent: GatewayContext['agent']): Finding[] {
  return LANES.map((lane) => {
    const { epoch, floor, highest } = message.lanes[lane];
    const said =
      epoch === null
        ? 'knows nothing yet that it could begin with'
        : `has everything up to number ${floor} of epoch ${epoch}`;
    const facts = `lane ${lane}: the processor ${said}`;
    if (agent.state !== 'running') return ok(facts);
    return strangerOf(lane, epoch, agent.status.epoch) ?? holeOf(facts, floor, highest) ?? ok(facts);
  });
}

/** An epoch that begins after this agent's own start was not made here. */
function strangerOf(lane: Lane, heard: string | null, own: string): Finding | undefined {
  if (heard === null || heard === own || ordinalOf(heard) < ordinalOf(own)) return undefined;
  return critical(
    `lane ${lane}: the processor takes epoch ${heard} for this gateway's newest, but the agent here writes ${own}: another machine uses this name, or this disk is an older copy`,
    'find the other machine and give it a name of its own (site, gateway); see the page before anything is deleted',
    'identity',
  );
}

const holeOf = (facts: string, floor: number, highest: number): Finding | undefined =>
  highest > floor ? notice(`${facts} and lacks some up to ${highest}, which the agent sends again`) : undefined;

const ordinalOf = (epoch: string): number => Number(epoch.split('-')[0]);
