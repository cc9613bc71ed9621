import { resolve } from 'node:path';

import { StartError, VERSION } from '@floorwatch/runtime';
import { Command, InvalidArgumentError, Option } from 'commander';

/** Ports by what listens there; undefined: the usual one, or the next that is free. */
export interface PortOptions {
  readonly page: number | undefined;
  readonly mqtt: number | undefined;
  readonly agent: number | undefined;
  readonly nats: number | undefined;
  readonly influx: number | undefined;
}

/** Recordings, and how `floorwatch-simulator replay` is to read them. */
export interface ReplayInput {
  /** Absolute paths. */
  readonly files: readonly string[];
  /** A number, `max` or `auto`. */
  readonly speed: string;
  readonly times: 'file' | 'now';
  /** Options of `replay` that are handed on as they are. */
  readonly parameters: readonly string[];
}

/** Where readings come from. */
export type FloorInput =
  | { readonly kind: 'simulated'; readonly machines: number }
  | { readonly kind: 'recording'; readonly replay: ReplayInput }
  | { readonly kind: 'none' };

/** What `npm start` was asked to do. */
export interface LocalOptions {
  /** Absolute path. */
  readonly dataDirectory: string;
  readonly fresh: boolean;
  readonly store: 'duckdb' | 'influxdb';
  readonly input: FloorInput;
  /** Run the agent alone, and send to this NATS server; undefined: run the whole floor. */
  readonly agentOnly: { readonly natsUrl: string } | undefined;
  /** Absolute path of a file that says what the agent does; undefined: what suits the floor. */
  readonly agentConfigFile: string | undefined;
  readonly ports: PortOptions;
  readonly verbose: boolean;
}

interface Written {
  readonly data: string;
  readonly fresh: boolean;
  readonly machines?: number;
  readonly replay?: readonly string[];
  readonly speed?: string;
  readonly times?: 'file' | 'now';
  readonly device?: string;
  readonly timestampColumn?: string;
  readonly columns?: string;
  readonly dateOrder?: string;
  readonly zone?: string;
  readonly interval?: string;
  readonly simulator: boolean;
  readonly influx: boolean;
  readonly agentOnly: boolean;
  readonly agentConfig?: string;
  readonly nats?: string;
  readonly port?: number;
  readonly mqttPort?: number;
  readonly agentPort?: number;
  readonly natsPort?: number;
  readonly influxPort?: number;
  readonly verbose: boolean;
}

const MACHINES_DEFAULT = 12;
const SPEED_DEFAULT = 'auto';
/** Options of `floorwatch-simulator replay` that this command hands on. */
const HANDED_ON = {
  device: '--device',
  timestampColumn: '--timestamp-column',
  columns: '--columns',
  dateOrder: '--date-order',
  zone: '--zone',
  interval: '--interval',
} as const;
const NATS_URL_DEFAULT = 'nats://127.0.0.1:4222';

/**
 * Reads the command line.
 *
 * @param from folder that relative paths of files start from: where the person is.
 * @throws StartError if options contradict each other; commander's error after `--help`, `--version` and an unknown option.
 */
export function readOptions(parameters: readonly string[], from: string): LocalOptions {
  const program = new Command('npm start --')
    .usage('[options]')
    .description(
      'Runs the whole floor on this machine: a simulated factory (or a recording), the agent, nats-server, the processor with its ' +
        'store, and the page. Everything listens on this machine only. Ctrl-C stops it; the next start goes on from the same data.',
    )
    .version(VERSION)
    .configureHelp({ helpWidth: 120 })
    .helpOption('-h, --help', 'show this help')
    .exitOverride()
    .option('--data <folder>', 'where data, configuration and logs are kept', '.floorwatch')
    .option('--fresh', 'delete what earlier runs left in that folder, and start over', false)
    .option('--machines <n>', `machines of the simulated floor (default: ${MACHINES_DEFAULT})`, whole(1, 10_000))
    .option(
      '--replay <file...>',
      'play recordings (CSV or CSV.gz) instead of the simulated floor; with the following options:',
    )
    .option(
      '--speed <x>',
      `how many times faster than recorded, max, or auto: a chart fills within a minute (default: ${SPEED_DEFAULT})`,
    )
    .addOption(
      new Option('--times <which>', 'event times: as in the file, or now (default: now)').choices(['file', 'now']),
    )
    .option('--device <name>', "device name (default: the file's name)")
    .option('--timestamp-column <name>', 'name or number of the column with the times')
    .option('--columns <names>', 'names or numbers of the columns to publish, separated by commas')
    .addOption(new Option('--date-order <order>', 'for dates such as 03/04/2020').choices(['dmy', 'mdy']))
    .option('--zone <name>', 'time zone of times that name none, such as Europe/Berlin (default: UTC)')
    .option('--interval <time>', 'for files without times: from row to row, such as 1m')
    .option('--no-simulator', 'simulate nothing; connect devices of your own over MQTT')
    .option('--influx', 'store in a real InfluxDB 2 (influxd) instead of a DuckDB file', false)
    .option('--agent-only', 'run the agent alone, with its MQTT broker, and send to the NATS server of --nats', false)
    .option('--nats <url>', `NATS server that --agent-only sends to (default: ${NATS_URL_DEFAULT})`)
    .option(
      '--agent-config <file>',
      "the agent's topics, rules and whatever else its config.example.yaml has; site, gateway, ports, folders and NATS stay those of this floor",
    )
    .option('--port <n>', 'port of the page (default: 8080, or the next that is free)', port)
    .option('--mqtt-port <n>', "port of the agent's MQTT broker (default: 1883, or the next)", port)
    .option('--agent-port <n>', "port of the agent's status and metrics (default: 9464, or the next)", port)
    .option('--nats-port <n>', 'port of nats-server (default: 4222, or the next)', port)
    .option('--influx-port <n>', 'port of influxd (default: 8086, or the next)', port)
    .option('--verbose', 'show every line of every program, not only what matters', false)
    .allowExcessArguments(false);
  program.parse([...parameters], { from: 'user' });
  const written = program.opts<Written>();
  refuseContradictions(written);
  return {
    dataDirectory: resolve(written.data === '.floorwatch' ? process.cwd() : from, written.data),
    fresh: written.fresh,
    store: written.influx ? 'influxdb' : 'duckdb',
    input: inputOf(written, from),
    agentOnly: written.agentOnly ? { natsUrl: written.nats ?? NATS_URL_DEFAULT } : undefined,
    agentConfigFile: written.agentConfig === undefined ? undefined : resolve(from, written.agentConfig),
    ports: {
      page: written.port,
      mqtt: written.mqttPort,
      agent: written.agentPort,
      nats: written.natsPort,
      influx: written.influxPort,
    },
    verbose: written.verbose,
  };
}

function inputOf(written: Written, from: string): FloorInput {
  if (written.replay !== undefined) {
    const { speed = SPEED_DEFAULT, times = 'now' } = written;
    const files = written.replay.map((file) => resolve(from, file));
    return { kind: 'recording', replay: { files, speed, times, parameters: handedOn(written) } };
  }
  if (!written.simulator || written.agentOnly) return { kind: 'none' };
  return { kind: 'simulated', machines: written.machines ?? MACHINES_DEFAULT };
}

function handedOn(written: Written): string[] {
  return Object.entries(HANDED_ON).flatMap(([name, option]) => {
    const value = written[name as keyof typeof HANDED_ON];
    return value === undefined ? [] : [option, value];
  });
}

function refuseContradictions(written: Written): void {
  const { replay, speed, times, machines, simulator, agentOnly, influx, nats, influxPort } = written;
  const contradictions: readonly (readonly [boolean, string])[] = [
    [speed !== undefined && replay === undefined, '--speed: only together with --replay'],
    [times !== undefined && replay === undefined, '--times: only together with --replay'],
    [
      replay === undefined && handedOn(written).length > 0,
      `${handedOn(written)[0] ?? ''}: only together with --replay`,
    ],
    [machines !== undefined && replay !== undefined, '--machines: not together with --replay, which simulates nothing'],
    [machines !== undefined && !simulator, '--machines: not together with --no-simulator'],
    [replay !== undefined && !simulator, '--replay: not together with --no-simulator; choose one'],
    [agentOnly && influx, '--influx: not together with --agent-only, which runs no store'],
    [nats !== undefined && !agentOnly, '--nats: only together with --agent-only; otherwise a nats-server is started'],
    [influxPort !== undefined && !influx, '--influx-port: only together with --influx'],
    [
      speed !== undefined && speed !== 'max' && speed !== 'auto' && !(Number(speed) > 0),
      `--speed: must be a number above 0, max or auto; it is ${speed}`,
    ],
  ];
  for (const [contradicts, message] of contradictions) if (contradicts) throw new StartError('usage', message);
}

function whole(min: number, max: number): (text: string) => number {
  return (text) => {
    const n = /^\d+$/.test(text) ? Number(text) : Number.NaN;
    if (n >= min && n <= max) return n;
    throw new InvalidArgumentError(`It must be a whole number from ${min} to ${max}.`);
  };
}

const port = whole(1, 65_535);
