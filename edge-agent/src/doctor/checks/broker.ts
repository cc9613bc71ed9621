import { connect } from 'node:net';

import { counted } from '@floorwatch/contracts';
import { messageOf, systemCodeOf } from '@floorwatch/runtime';

import type { Check, GatewayContext } from '../check.ts';
import { tryExternalBroker } from '../external-broker-probe.ts';
import { critical, type Finding, ok, warning } from '../finding.ts';
import { findPortHolder } from '../port-holder.ts';

/** Whether devices reach the broker, and the agent too. */
export const checkBroker: Check = {
  name: 'broker',
  of: 'gateway',
  async run(context) {
    return [await (context.config.broker.kind === 'embedded' ? ofEmbedded(context) : ofExternal(context))];
  },
};

async function ofEmbedded({ config, agent, system, signal }: GatewayContext): Promise<Finding> {
  if (config.broker.kind !== 'embedded') throw new TypeError('not the embedded broker');
  const { host, port } = config.broker;
  if (agent.state === 'running' && agent.status.broker.ready) {
    const { connections = 0, held } = agent.status.broker;
    const facts = `listens at ${agent.status.broker.address}, ${counted(connections, 'device')} connected`;
    return held
      ? warning(`${facts}; they are held back`, 'see what else is found here; the agent has no room', 'disk-full')
      : ok(facts);
  }
  if (port === 0) return ok('any free port will do');
  const answer = await tryPort(host, port, signal);
  if (answer === 'free') return ok(`port ${port} on ${host} is free for the agent`);
  if (answer !== 'held') {
    return critical(`broker.host: ${host} can't be used: ${answer}`, 'set it to an address of this machine', 'broker');
  }
  const holder = await findPortHolder(port, system.proc);
  const name = holder === undefined ? 'another program' : `${holder.name} (process ${holder.pid})`;
  if (agent.state === 'hidden') {
    const finding = `port ${port} on ${host} is held by ${name}, which may be the agent; it could not be asked`;
    return warning(finding, 'see what is found about the agent', 'broker');
  }
  const command = holder === undefined ? `find it with "sudo ss -ltnp sport = :${port}"` : `stop it`;
  return critical(
    `port ${port} on ${host} is held by ${name}, not by the agent; devices talk to that one`,
    `${command}, or use it as the broker (broker.kind: external), or set another broker.port`,
    'broker',
  );
}

/** Whether something listens: seen by connecting, so that the port is never taken from an agent that is just starting. */
async function tryPort(host: string, port: number, signal: AbortSignal): Promise<'free' | 'held' | (string & {})> {
  const near = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host;
  return new Promise((resolve) => {
    const socket = connect({ host: near, port });
    const end = (answer: string): void => {
      signal.removeEventListener('abort', giveUp);
      socket.destroy();
      resolve(answer);
    };
    const giveUp = (): void => end('it does not answer');
    signal.addEventListener('abort', giveUp);
    socket.once('connect', () => end('held'));
    socket.once('error', (error) => end(systemCodeOf(error) === 'ECONNREFUSED' ? 'free' : messageOf(error)));
  });
}

async function ofExternal({ config, agent, signal }: GatewayContext): Promise<Finding> {
  if (config.broker.kind !== 'external') throw new TypeError('not an external broker');
  const { url } = config.broker;
  if (agent.state === 'running' && agent.status.broker.ready)
    return ok(`the agent is connected to ${url} and subscribed`);
  const wrong = await tryExternalBroker(config.broker, config.topics, signal);
  if (wrong !== undefined) return critical(`broker.url: ${url}: ${wrong.what}`, wrong.remedy, 'broker');
  const facts = `${url} accepts this user and the subscriptions`;
  if (agent.state !== 'running') return ok(facts);
  const why = agent.status.broker.lastError ?? 'it does not say why';
  const remedy = 'see whether another client uses the same clientId: the two throw each other out';
  return critical(`${facts}, but the agent is not connected: ${why}`, remedy, 'broker');
}
