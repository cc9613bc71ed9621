#!/usr/bin/env node
import { runProgram, VERSION } from '@floorwatch/runtime';
import { Argument, Command } from 'commander';

import { findServer } from './find-server.ts';
import { SERVER_NAMES, type ServerName } from './server-program.ts';

await runProgram(async () => {
  const program = new Command('floorwatch-servers')
    .description('Finds the servers that floorwatch needs beside Node, or fetches them into a cache')
    .version(VERSION)
    .exitOverride();
  program
    .command('find')
    .description('print the path of an executable; fetch it first if there is none')
    .addArgument(new Argument('<name>', 'which one').choices(SERVER_NAMES))
    .option('--no-fetch', 'only look; install and download nothing')
    .option('--json', 'print path, version and origin as JSON')
    .action(async (name: ServerName, options: { fetch: boolean; json?: true }) => {
      const found = await findServer(name, { fetch: options.fetch });
      process.stdout.write(`${options.json === true ? JSON.stringify(found) : found.path}\n`);
    });
  await program.parseAsync();
});
