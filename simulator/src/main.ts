#!/usr/bin/env node
import { randomBytes } from 'node:crypto';

import { EXIT, runProgram, VERSION } from '@floorwatch/runtime';
import { Command, InvalidArgumentError, Option } from 'commander';

import { parseDuration } from './duration.ts';
import { limits } from './limits.ts';
import { PAYLOADS } from './publish/message.ts';
import type { Qos } from './publish/mqtt-publisher.ts';
import { replayRecordings, type ReplayOptions } from './replay-recordings.ts';
import { usableName } from './replay/column-plan.ts';
import { TimeZone } from './replay/time-zone.ts';
import { parseInstant } from './replay/timestamps.ts';
import { scoreTruth, type ScoreOptions } from './score-truth.ts';
import { runFloor, type RunOptions } from './run-floor.ts';

await runProgram(async (signal) => {
  let exitCode: number = EXIT.ok;
  const program = new Command('floorwatch-simulator')
    .description('Publishes a simulated factory floor, or recordings, over MQTT as if live.')
    .version(VERSION)
    .configureHelp({ helpWidth: 120 })
    .exitOverride();
  withSession(program.command('run'))
    .description('simulate a floor of machines, with faults now and then')
    .option('--machines <n>', 'number of machines', whole(1, limits.machinesMax), 12)
    .option(
      '--rate <n>',
      "readings per second of the whole floor, in its own time (default: its machines' cadences)",
      positive,
    )
    .option('--speed-up <x>', 'how many times faster than the clock its time passes, or max', speed, 1)
    .option('--seed <n>', 'same seed, same floor', whole(0, 2 ** 32 - 1), 1)
    .option('--start <time>', 'its time at the beginning, which the event times then follow (default: now)', moment)
    .option('--duration <time>', "how long to run, in the floor's time, such as 10m (default: without end)", duration)
    .option('--faults <which>', 'demo (one a minute), none, or a file with one fault per line (see the README)', 'demo')
    .option('--truth <file>', 'append one line per fault to this file, as NDJSON')
    .action(async (options: RunOptions) => {
      exitCode = await runFloor(options, signal);
    });
  withSession(program.command('replay'))
    .description('publish recordings: CSV or CSV.gz with a column of times and columns of numbers')
    .argument('<file...>', 'recordings; several are merged by time')
    .option(
      '--speed <x>',
      'how many times faster than recorded; max: as fast as the broker acknowledges; auto: so that a chart fills within a minute',
      replaySpeed,
      1,
    )
    .addOption(
      new Option('--times <which>', 'event times: as in the file, or when they are published')
        .choices(['file', 'now'])
        .default('file'),
    )
    .option('--device <name>', "device name (default: the file's name)", deviceName)
    .option(
      '--timestamp-column <name>',
      'name or number of the column with the times (default: found by name or content)',
    )
    .option(
      '--columns <names>',
      'names or numbers of the columns to publish, separated by commas (default: all numbers)',
      list,
    )
    .addOption(new Option('--date-order <order>', 'for dates such as 03/04/2020').choices(['dmy', 'mdy']))
    .option('--zone <name>', 'time zone of times that name none, such as Europe/Berlin (default: UTC)', timeZone)
    .option('--interval <time>', 'for files without times: from row to row, such as 1m', duration)
    .option('--start <time>', 'for files without times: the time of the first row', moment)
    .option('--dry-run', 'read the files, say what they hold and how long they take, and publish nothing', false)
    .action(async (files: string[], options: Omit<ReplayOptions, 'files'>) => {
      exitCode = await replayRecordings({ ...options, files }, signal);
    });
  program
    .command('score')
    .description(
      'compare the ground truth of a run with the episodes in the store: what was found, how soon, what was not there',
    )
    .requiredOption('--truth <file>', 'ground truth that run --truth has written')
    .option('--api <url>', "address of the processor's API", 'http://127.0.0.1:8080')
    .option('--token-file <file>', 'file with its bearer token (or FLOORWATCH_HTTP_TOKEN)')
    .option('--from <time>', 'only faults and episodes from this time on (default: the first fault)', moment)
    .option('--to <time>', 'only those before (default: half a minute after the last fault)', moment)
    .option('--json', 'print the comparison as one line of JSON', false)
    .action(async (options: ScoreOptions) => scoreTruth(options, signal));
  await program.parseAsync();
  return exitCode;
});

/** The options of both commands. */
function withSession(command: Command): Command {
  return command
    .option('--url <url>', 'MQTT broker: mqtt://host:port or mqtts://host:port', 'mqtt://127.0.0.1:1883')
    .option('--qos <n>', 'quality of service: 0, 1 or 2', qos, 1)
    .option(
      '--in-flight <n>',
      `messages on the way at once (default: ${limits.inFlightDefault}; with QoS 2: ${limits.inFlightQos2Default})`,
      whole(1, limits.inFlightMax),
    )
    .option('--topic <template>', 'topic of a sensor', 'sensors/{device}/{metric}')
    .addOption(
      new Option('--payload <form>', 'json: {value, ts, unit, seq}; value: the bare number')
        .choices(PAYLOADS)
        .default('json'),
    )
    .option('--client-id <id>', 'MQTT client id', `floorwatch-simulator-${randomBytes(4).toString('hex')}`)
    .option('--username-file <file>', 'file with the user name (or FLOORWATCH_MQTT_USERNAME)')
    .option('--password-file <file>', 'file with the password (or FLOORWATCH_MQTT_PASSWORD)')
    .option('--ca-file <file>', "certificate authority of the broker's certificate, in PEM")
    .option('--json', 'print the summary as one line of JSON', false);
}

function whole(min: number, max: number): (text: string) => number {
  return (text) => {
    const n = /^\d+$/.test(text) ? Number(text) : Number.NaN;
    if (n >= min && n <= max) return n;
    throw new InvalidArgumentError(`It must be a whole number from ${min} to ${max}.`);
  };
}

function qos(text: string): Qos {
  if (text === '0' || text === '1' || text === '2') return Number(text) as Qos;
  throw new InvalidArgumentError('It must be 0, 1 or 2.');
}

function positive(text: string): number {
  const n = Number(text);
  if (text.trim() !== '' && n > 0 && Number.isFinite(n)) return n;
  throw new InvalidArgumentError('It must be a number above 0.');
}

function speed(text: string): number {
  return text === 'max' ? Infinity : positive(text.replace(/x$/i, ''));
}

function replaySpeed(text: string): number | 'auto' {
  return text === 'auto' ? 'auto' : speed(text);
}

function timeZone(text: string): TimeZone {
  try {
    return new TimeZone(text);
  } catch {
    throw new InvalidArgumentError('It must be a name of the IANA time zone database, such as Europe/Berlin or UTC.');
  }
}

function duration(text: string): number {
  const ms = parseDuration(text);
  if (ms !== undefined && ms > 0) return ms;
  throw new InvalidArgumentError('It must be a time with its unit, such as 500ms, 30s, 10m, 2h or 1d.');
}

function moment(text: string): number {
  const at = parseInstant(text);
  if (at !== undefined) return at;
  throw new InvalidArgumentError('It must be a time such as 2026-03-01T06:00:00Z.');
}

function deviceName(text: string): string {
  if (text !== '' && usableName(text) === text) return text;
  throw new InvalidArgumentError('It must not be empty or hold "/", "+", "#" or control characters.');
}

function list(text: string): string[] {
  return text.split(',').map((name) => name.trim());
}
