#!/usr/bin/env node
import { runProgram } from '@floorwatch/runtime';

import { limits } from './limits.ts';
import { runLocalFloor } from './local-floor.ts';
import { readOptions } from './options.ts';
import { Terminal } from './terminal.ts';

await runProgram(
  async (signal) => {
    // npm runs scripts in the folder of the repository; this variable says where the person is.
    const options = readOptions(process.argv.slice(2), process.env['INIT_CWD'] ?? process.cwd());
    return runLocalFloor(options, signal, new Terminal());
  },
  { repeatedSignalMs: limits.repeatedSignalMs },
);
