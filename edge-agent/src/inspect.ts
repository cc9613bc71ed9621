import { counted } from '@floorwatch/contracts';
import { EXIT, messageOf, StartError } from '@floorwatch/runtime';
import { inspectLog, type LogReport } from '@floorwatch/segment-log';

/**
 * Prints what the directory of a segment log holds: segments, positions and damage. Changes nothing, and may be used while a program
 * writes to the log.
 *
 * @returns the exit code: 1 if there is damage.
 * @throws StartError if there is no log that can be read.
 */
export async function inspect(directory: string, { json }: { readonly json: boolean }): Promise<number> {
  const report = await inspectLog(directory).catch((error: unknown) => {
    throw new StartError('usage', `${directory}: can't be read as a segment log: ${messageOf(error)}`, {
      cause: error,
    });
  });
  if (report.segments.length === 0 && report.next === 1) {
    throw new StartError('usage', `${directory}: holds no segment log; give the folder that holds the .seg files`);
  }
  process.stdout.write(json ? `${JSON.stringify(report)}\n` : inWords(report));
  return report.damage.length > 0 || report.state === 'damaged' ? EXIT.failed : EXIT.ok;
}

function inWords({ segments, first, next, trimmed, dropped, skipped, damage, cursors, state }: LogReport): string {
  const bytes = segments.reduce((sum, segment) => sum + segment.bytes, 0);
  const cells = [
    ['segment', 'positions', 'items', 'frames', 'bytes', ''],
    ...segments.map((segment) => [
      segment.name,
      segment.items === 0 ? '–' : `${segment.first}–${segment.next - 1}`,
      String(segment.items),
      String(segment.frames),
      String(segment.bytes),
      [
        ...(segment.sent ? ['sent'] : []),
        ...(segment.header === 'damaged' ? ['header damaged'] : []),
        ...(segment.tornBytes > 0 ? [`${segment.tornBytes} bytes of an unfinished write`] : []),
      ].join(', '),
    ]),
  ];
  const widths = cells[0]!.map((_, column) => Math.max(...cells.map((row) => row[column]!.length)));
  const lines = cells.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column]!))
      .join('  ')
      .trimEnd(),
  );
  const tell = (what: string, from: number, to: number): string =>
    `${what}: positions ${from}–${to} (${to - from + 1} items)`;
  lines.push(
    '',
    next > first
      ? `${counted(segments.length, 'segment')}, ${bytes} bytes; positions ${first}–${next - 1}, needed from ${trimmed} on`
      : `no items; the next one gets position ${next}`,
    ...Object.entries(cursors).map(([name, position]) => `cursor ${name}: ${position}`),
    ...dropped.map(({ from, to }) => tell('dropped to make room', from, to)),
    ...skipped.map(({ from, to }) => `passed over: positions ${from}–${to}, which no item ever had`),
    ...damage.map(
      ({ from, to, segment, start, end }) =>
        `${tell('DAMAGED', from, to)}, ${end > start ? `bytes ${start}–${end - 1} of ${segment}` : 'a file is missing'}`,
    ),
    ...(state === 'damaged' ? ['DAMAGED: the state file; cursors and what was dropped are not known'] : []),
    damage.length === 0 && state === 'whole' ? 'no damage' : '',
  );
  return `${lines.join('\n').trimEnd()}\n`;
}
