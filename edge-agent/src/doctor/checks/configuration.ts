import { isLoopback } from '@floorwatch/runtime';

import type { AgentConfig } from '../../config.ts';
import type { Check } from '../check.ts';
import { critical, type Finding, notice, ok, warning } from '../finding.ts';

/** What is allowed in a configuration, and unwise all the same. That it can be read at all has been seen before. */
export const checkConfiguration: Check = {
  name: 'configuration',
  of: 'gateway',
  async run({ config }) {
    const findings = [...ofNames(config), ...ofBroker(config), ...ofHttp(config), ...ofEngine(config)];
    return findings.length === 0 ? [ok('it can be read, and nothing in it is unwise')] : findings;
  },
};

function* ofNames({ site, gateway }: AgentConfig): Generator<Finding> {
  if (site === 'Leipzig' && gateway === 'hall-1') {
    const finding = `site and gateway are ${site} and ${gateway}, as in the example`;
    yield warning(finding, 'give this gateway a name of its own; two with one name disturb each other', 'identity');
  }
}

function* ofBroker({ broker }: AgentConfig): Generator<Finding> {
  if (broker.kind === 'external') {
    if (broker.url.startsWith('mqtt:') && !isLoopback(new URL(broker.url).hostname)) {
      const finding = `broker.url: readings, and the password if there is one, go to ${broker.url} unencrypted`;
      yield notice(finding, 'use mqtts:// where others could listen on the network');
    }
    return;
  }
  if (broker.port === 0) yield notice('broker.port is 0: devices find another port after every start', 'set a port');
  if (isLoopback(broker.host)) {
    const finding = `broker.host is ${broker.host}: only programs on this machine can send readings`;
    yield notice(finding, 'for devices on the network set it to 0.0.0.0, and broker.usersFile');
  } else if (broker.usersFile === undefined) {
    const finding = `broker.host: ${broker.host} can be reached from other machines, and broker.usersFile is not set`;
    const remedy =
      'make one with "floorwatch-agent hash-password <user>", or use 127.0.0.1; the agent does not start so';
    yield critical(finding, remedy, 'will-not-start');
  } else {
    yield notice(
      'devices send their passwords unencrypted to the embedded broker',
      'keep them in a network of their own',
    );
  }
}

function* ofHttp({ http }: AgentConfig): Generator<Finding> {
  if (http.port === 0)
    yield notice('http.port is 0: the agent’s page is at another port after every start', 'set a port');
}

function* ofEngine({ engine }: AgentConfig): Generator<Finding> {
  const { adaptive, zScore, limits, range, rate } = engine;
  const rules = limits.rules.length + range.rules.length + rate.rules.length;
  if (!adaptive.enabled && zScore.watch === 'never' && rules === 0) {
    const finding =
      'engine: adaptive is off, zScore.watch is never, and there are no rules: hardly an anomaly will be found';
    yield warning(finding, 'set engine.adaptive.enabled to true');
  }
}
