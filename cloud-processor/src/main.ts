#!/usr/bin/env node
import path from 'node:path';

import { seconds } from '@floorwatch/contracts';
import {
  createLogger,
  EXIT,
  httpToken,
  loadConfig,
  runProgram,
  serveHttp,
  StartError,
  VERSION,
} from '@floorwatch/runtime';
import { Command } from 'commander';

import { type ProcessorConfig, processorConfigSchema } from './config.ts';
import { listDeadLetters, settleDeadLetters, showDeadLetter } from './dead-letters/command.ts';
import { createMetrics } from './metrics.ts';
import { makeNatsUsers, NATS_USERS_HELP } from './nats-users/command.ts';
import { Pipeline } from './pipeline.ts';
import { statusOf } from './processor-status.ts';
import { reprocess, REPROCESS_HELP, type ReprocessOptions } from './reprocess/command.ts';
import { createServeApp, FloorView, restoreView } from './serve/index.ts';
import { verify, VERIFY_HELP, type VerifyOptions } from './verify/command.ts';
import { createStore } from './write/create-store.ts';
import { RetentionClock } from './write/retention-clock.ts';
import { agreeRetention, showRetention } from './write/retention-command.ts';
import { setUpStore } from './write/set-up.ts';
import { StoreError } from './write/store.ts';

/** Six of an agent's ticks: a gateway that is silent for longer is shown as unknown. */
const SILENT_AFTER = seconds(30);

const CONFIG_OPTION = ['--config <file>', 'configuration file; config.example.yaml explains every field'] as const;

await runProgram(async (signal) => {
  const program = new Command('floorwatch-processor')
    .description(
      'Folds what gateways send over NATS into windows in a store, and answers pages and programs over HTTP.',
    )
    .version(VERSION)
    .exitOverride();
  program
    .command('run', { isDefault: true })
    .description('run the processor until it is told to stop (Ctrl-C, SIGTERM)')
    .requiredOption(...CONFIG_OPTION)
    .action(async ({ config }: { config: string }) => run(config, signal));
  program
    .command('set-up')
    .description('make what the store needs, such as the buckets of InfluxDB; doing it again changes nothing')
    .requiredOption(...CONFIG_OPTION)
    .option('--json', 'print what was done as JSON')
    .action(async (options: { config: string; json?: true }) => setUp(options.config, options.json === true));
  program
    .command('nats-users')
    .description('make a NATS user for the processors and one for every gateway, each with the rights that it needs')
    .argument('[site/gateway...]', 'gateways, named as in the configuration of their agents')
    .requiredOption('--dir <folder>', 'where the keys and the part of the server configuration are, or are to be')
    .addHelpText('after', NATS_USERS_HELP)
    .action(async (gateways: string[], { dir }: { dir: string }) => {
      const { added, gateways: all } = await makeNatsUsers(dir, gateways);
      process.stdout.write(
        `${dir}/users.conf lets in the processors and ${all.length} gateways; ${added.length} keys are new\n`,
      );
    });
  let code: number = EXIT.ok;
  addDeadLetters(program, (ended) => (code = ended));
  addReprocess(program, signal, (ended) => (code = ended));
  await program.parseAsync();
  return code;
});

/** A declaration, because `main` runs before the module has been read to its end. */
function addDeadLetters(program: Command, ended: (code: number) => void): void {
  interface Options {
    readonly config: string;
    readonly json: boolean;
  }
  const letters = program
    .command('dead-letters')
    .description(
      'batches and rows that could not be used; asks the running processor, or reads its folder if none runs',
    );
  const add = (
    usage: string,
    what: string,
    act: (config: ProcessorConfig, json: boolean, ids: readonly string[]) => Promise<number>,
  ): void => {
    const command = letters.command(usage).description(what);
    command.requiredOption('--config <file>', "the processor's configuration file");
    command.option('--json', 'print JSON, one object per line', false);
    command.action(async (...args: unknown[]) => {
      const { config, json } = command.opts<Options>();
      const ids = [args[0]].flat().filter((id) => typeof id === 'string');
      ended(await act(await loadConfig(config, processorConfigSchema), json, ids));
    });
  };
  add('list', 'the newest first', async (config, json) => listDeadLetters(config, json));
  add('show <id>', 'one with all that is kept of it', async (config, json, [id]) =>
    showDeadLetter(config, id ?? '', json),
  );
  add('retry <id...>', 'try them again; needs the running processor', async (config, json, ids) =>
    settleDeadLetters(config, ids, 'retry', json),
  );
  add('drop <id...>', 'forget them', async (config, json, ids) => settleDeadLetters(config, ids, 'drop', json));
}

/** A declaration for the same reason. */
function addReprocess(program: Command, signal: AbortSignal, ended: (code: number) => void): void {
  program
    .command('verify')
    .description(
      'compare what gateways say that they accepted with what is stored, on the running processor; exit code 0 only if all adds up',
    )
    .requiredOption(...CONFIG_OPTION)
    .option(
      '--from <time>',
      "event hours from here on: ISO 8601 with a zone, or epoch milliseconds (default: 7 days before each gateway's watermark)",
    )
    .option('--to <time>', "event hours up to here (default: each gateway's watermark)")
    .option('--gateway <site/gateway>', 'only of this gateway, or of this site')
    .option('--json', 'print the result as JSON', false)
    .addHelpText('after', VERIFY_HELP)
    .action(async ({ config, ...options }: { config: string } & VerifyOptions) => {
      ended(await verify(await loadConfig(config, processorConfigSchema), options, signal));
    });
  const retention = program
    .command('retention')
    .description('rows that are due to be deleted for their age, of the embedded store; asks the running processor');
  retention
    .command('show', { isDefault: true })
    .description('what is due; exit code 1 while it waits for a person to agree')
    .requiredOption(...CONFIG_OPTION)
    .option('--json', 'print JSON', false)
    .action(async ({ config, json }: { config: string; json: boolean }) => {
      ended(await showRetention(await loadConfig(config, processorConfigSchema), json));
    });
  retention
    .command('agree')
    .description('agree that rows of before an instant are deleted, although it is more than is deleted unasked')
    .requiredOption(...CONFIG_OPTION)
    .requiredOption('--before <time>', 'rows of before may go: ISO 8601 with a zone, or epoch milliseconds')
    .option('--json', 'print JSON', false)
    .action(async ({ config, before, json }: { config: string; before: string; json: boolean }) => {
      ended(await agreeRetention(await loadConfig(config, processorConfigSchema), before, json));
    });
  program
    .command('reprocess')
    .description(
      'make windows and anomalies again from what the stream still holds; asks the running processor, or does it if none runs',
    )
    .requiredOption(...CONFIG_OPTION)
    .requiredOption('--from <time>', 'windows that begin here or later: ISO 8601 with a zone, or epoch milliseconds')
    .requiredOption('--to <time>', 'windows that end here or earlier')
    .option('--dry-run', 'compare and count, write nothing', false)
    .option('--json', 'print the result as JSON', false)
    .addHelpText('after', REPROCESS_HELP)
    .action(async ({ config, ...options }: { config: string } & ReprocessOptions) => {
      ended(await reprocess(await loadConfig(config, processorConfigSchema), options, signal));
    });
}

async function run(configFile: string, signal: AbortSignal): Promise<void> {
  const config = await loadConfig(configFile, processorConfigSchema);
  const token = await httpToken(config.http);
  const logger = createLogger('processor', config.logLevel);
  const clock = new RetentionClock();
  const store = createStore(config.store, logger, clock);
  const view = new FloorView({ silentAfterMs: SILENT_AFTER });
  const pipeline = new Pipeline({
    config,
    store,
    observer: view,
    logger,
    clock,
    storeConnected: () => void restoreView(view, store, logger, signal),
  });
  try {
    await pipeline.open();
    const { deadLetters } = pipeline;
    const app = createServeApp({
      store,
      view,
      openWindows: pipeline,
      token,
      metrics: createMetrics(pipeline),
      health: () => pipeline.health(),
      processor: () => statusOf(pipeline),
      ...(deadLetters === undefined
        ? {}
        : { deadLetters: { letters: deadLetters, retry: async (id: string) => pipeline.retryDeadLetter(id) } }),
      ...(pipeline.reprocessor === undefined ? {} : { reprocessor: pipeline.reprocessor }),
      ...(pipeline.verifier === undefined ? {} : { verifier: pipeline.verifier }),
      windowSizes: config.windows.sizes,
      gateway: config.gateway,
      exportDir: path.join(config.dataDir, 'exports'),
      logger,
    });
    const server = await serveHttp(app, config.http);
    logger.info(
      {
        version: VERSION,
        http: `http://${config.http.host}:${server.port}`,
        bearerToken: token === undefined ? 'not needed' : 'needed',
        store: config.store.kind,
      },
      'processor is running',
    );
    try {
      await pipeline.run(signal);
      logger.info({}, 'stopped');
    } finally {
      await server.close();
    }
  } finally {
    await pipeline.close();
  }
}

async function setUp(configFile: string, json: boolean): Promise<void> {
  const config = await loadConfig(configFile, processorConfigSchema);
  try {
    const steps = await setUpStore(config.store, createLogger('processor', 'warn'));
    const lines = json ? [JSON.stringify(steps)] : steps.map(({ what, done }) => `${what}: ${done}`);
    process.stdout.write(`${lines.join('\n')}\n`);
  } catch (error) {
    if (error instanceof StoreError)
      throw new StartError('config-invalid', `store: ${error.message}`, { cause: error });
    throw error;
  }
}
