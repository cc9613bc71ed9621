import { messageOf } from '@floorwatch/runtime';
import { type Command } from 'commander';

import type { BacktestOptions, BacktestReport } from './backtest.ts';
import type { SensorReport } from './sensor-report.ts';

/** Adds `backtest` to the agent's program. */
export function addBacktest(program: Command): void {
  program
    .command('backtest')
    .description(
      'show what the agent would have found in recordings (CSV with a header that names the time and the metrics, or NDJSON, also .gz) or in its own journal',
    )
    .argument(
      '<file...>',
      'recordings, or data folders of agents that do not run, or copies of them; each is judged by itself',
    )
    .option('--config <file>', "an agent's configuration file (default: the defaults)")
    .option('--compare <file>', 'another one, and what would appear and disappear with it')
    .option('--json', 'print one line of JSON per recording', false)
    .action(async (files: string[], options: BacktestOptions) => {
      // Loaded only now, because the agent itself is a small program.
      const { backtest } = await import('./backtest.ts');
      const reports = await backtest(files, options, (file, readings) => {
        if (process.stderr.isTTY) process.stderr.write(`\r${file}: ${readings} readings`);
      });
      if (process.stderr.isTTY) process.stderr.write('\n');
      for (const report of reports) {
        process.stdout.write(`${options.json === true ? JSON.stringify(report) : backtestText(report)}\n`);
      }
    });
}

const instant = (at: number): string => {
  try {
    return new Date(at).toISOString().slice(0, 19).replace('T', ' ');
  } catch (error) {
    return messageOf(error);
  }
};

/** A report as a table for people. */
export function backtestText({ file, readings, skipped, outOfOrder, stateFrom, sensors }: BacktestReport): string {
  const head = ['sensor', 'readings', 'anomalies', 'critical', 'per week', 'first (UTC)', 'kinds'];
  const rows = sensors.map((sensor) => [
    `${sensor.device}/${sensor.metric}`,
    `${sensor.readings}`,
    `${sensor.episodes}`,
    `${sensor.critical}`,
    sensor.perWeek === null ? '–' : sensor.perWeek.toFixed(2),
    sensor.firstAt === null ? '–' : instant(sensor.firstAt),
    Object.entries(sensor.kinds)
      .sort(([, a], [, b]) => b - a)
      .map(([kind, count]) => `${kind} ${count}`)
      .join(', '),
  ]);
  const widths = head.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)));
  const line = (row: readonly string[]): string =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd();
  return [
    `${file}: ${readings} readings${skipped > 0 ? `, ${skipped} cells, lines or items without a usable value and time` : ''}`,
    ...(outOfOrder === 0
      ? []
      : [`${outOfOrder} readings are older than their sensor's newest, and so were not judged: sort them by time`]),
    ...(stateFrom === null ? [] : [`judged by what the agent had learned until ${instant(stateFrom)} UTC`]),
    line(head),
    ...rows.map(line),
    ...sensors.flatMap(details),
    '',
  ].join('\n');
}

function details({ device, metric, worst, worstAt, appear, disappear }: SensorReport): string[] {
  const lines =
    worst === null || worstAt === null ? [] : [`worst of ${device}/${metric}, ${instant(worstAt)}: ${worst}`];
  if (appear !== undefined && appear.length > 0) lines.push(`would appear: ${appear.map(instant).join(', ')}`);
  if (disappear !== undefined && disappear.length > 0)
    lines.push(`would disappear: ${disappear.map(instant).join(', ')}`);
  return lines;
}
