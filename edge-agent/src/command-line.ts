import { createInterface } from 'node:readline/promises';

import { createLogger, EXIT, loadConfig, runProgram, StartError, VERSION } from '@floorwatch/runtime';
import { Command } from 'commander';

import { addBacktest } from './backtest/command.ts';
import { agentConfigSchema } from './config.ts';
import { addDoctor } from './doctor/command.ts';
import { isUserName, userLine } from './ingest/broker-users.ts';
import { inspect } from './inspect.ts';
import { limits } from './limits.ts';
import { Pipeline } from './pipeline.ts';
import { addQuarantine } from './quarantine/command.ts';

await runProgram(async (signal) => {
  let code: number = EXIT.ok;
  const program = new Command('floorwatch-agent')
    .description(
      'Receives readings over MQTT, keeps moving statistics, finds anomalies, and forwards what matters over NATS.',
    )
    .version(VERSION)
    .exitOverride();
  program
    .command('run', { isDefault: true })
    .description('run the agent until it is told to stop (Ctrl-C, SIGTERM)')
    .requiredOption('--config <file>', 'configuration file; config.example.yaml explains every field')
    .action(async ({ config }: { config: string }) => run(config, signal));
  program
    .command('config')
    .description('look at a configuration')
    .command('check')
    .description(
      'check a configuration file without starting anything; exit code 2 and a list of problems if it is wrong',
    )
    .requiredOption('--config <file>', 'configuration file')
    .action(async ({ config }: { config: string }) => {
      const { site, gateway } = await loadConfig(config, agentConfigSchema);
      process.stdout.write(`${config}: nothing is wrong; it is the configuration of ${site}/${gateway}\n`);
    });
  program
    .command('hash-password <user>')
    .description(
      'print the line of broker.usersFile for a user; reads the password from the first line of standard input',
    )
    .action(async (user: string) => hashPassword(user));
  program
    .command('inspect <dir>')
    .description('print the segments, positions and damage of a segment log; exit code 1 if there is damage')
    .option('--json', 'one JSON object, for programs', false)
    .action(async (directory: string, options: { json: boolean }) => {
      code = await inspect(directory, options);
    });
  addBacktest(program);
  addQuarantine(program, (exitCode) => (code = exitCode));
  addDoctor(program, signal, (exitCode) => (code = exitCode));
  await program.parseAsync();
  return code;
});

async function run(configFile: string, signal: AbortSignal): Promise<void> {
  const config = await loadConfig(configFile, agentConfigSchema);
  const logger = createLogger('agent', config.logLevel);
  const pipeline = await Pipeline.open(config, logger);
  const stopping = aborted(signal).then(async () => pipeline.stop());
  await pipeline.start();
  const { site, gateway } = config;
  if (!signal.aborted) logger.info({ site, gateway, version: VERSION, ports: pipeline.ports }, 'agent is running');
  try {
    await Promise.race([stopping, pipeline.failed]);
  } finally {
    const { records, messages } = await pipeline.stop();
    if (records > 0) logger.info({ records }, 'these records wait on the disk for NATS');
    if (messages > 0)
      logger.warn({ messages }, 'stopped before all messages were read; devices with QoS 1 send them again');
    logger.info({ readings: pipeline.view().readings }, 'stopped');
  }
}

async function hashPassword(user: string): Promise<void> {
  if (!isUserName(user))
    throw new StartError('usage', `user: ${JSON.stringify(user)} must not hold ":" or begin with "#"`);
  const input = createInterface({ input: process.stdin });
  const { value: password } = (await input[Symbol.asyncIterator]().next()) as { value: string | undefined };
  input.close();
  if (password === undefined || password === '') {
    throw new StartError('usage', 'no password on standard input; type one line, or pipe it in');
  }
  if (Buffer.byteLength(password) > limits.passwordBytesMax) {
    throw new StartError('usage', `the password is longer than ${limits.passwordBytesMax} bytes; take a shorter one`);
  }
  process.stdout.write(`${await userLine(user, password)}\n`);
}

/** Resolves when `signal` aborts. A declaration, because `main` runs before the module has been read to its end. */
async function aborted(signal: AbortSignal): Promise<void> {
  if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve));
}
