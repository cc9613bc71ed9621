import type { PublishCounts } from './publish/mqtt-publisher.ts';

/** What a command says when it ends; with `--json` exactly this, on one line. */
export interface Summary extends PublishCounts {
  readonly command: 'run' | 'replay';
  readonly url: string;
  readonly qos: number;
  /** Published, and neither acknowledged nor failed when the command ended. */
  readonly unacknowledged: number;
  readonly seconds: number;
  /** Acknowledged readings per second, over the time in which readings were published. */
  readonly ratePerSecond: number;
  /** Ended by a signal before its own end. */
  readonly interrupted: boolean;
  /** Faults that were injected, by type; only of `run`. */
  readonly faults?: Readonly<Record<string, number>>;
  /** What the files held and why it was not published; only of `replay`. */
  readonly recordings?: readonly RecordingSummary[];
}

export interface RecordingSummary {
  readonly file: string;
  readonly device: string;
  /** Cells of value columns; the sum of the following four. */
  readonly cells: number;
  readonly readings: number;
  readonly missing: number;
  readonly notANumber: number;
  readonly badTimestamp: number;
  /** Rows longer than the header; what is too much in them is left out. */
  readonly longRows: number;
  /** Columns that are not published because they hold text or were not asked for. */
  readonly skippedColumns: readonly string[];
}

const number = new Intl.NumberFormat('en');

/** `12,345` */
export const count = (n: number): string => number.format(Math.round(n));

/** The summary for people. */
export function summaryText(summary: Summary): string {
  const { published, acknowledged, retried, failed, unacknowledged, qos, seconds, ratePerSecond } = summary;
  const lines = [
    `${summary.interrupted ? 'stopped' : 'done'} after ${seconds.toFixed(1)} s: ${count(published)} readings sent, ` +
      `${count(acknowledged)} ${qos === 0 ? 'written (QoS 0 is not acknowledged)' : 'acknowledged'}, ${count(retried)} retried, ` +
      `${count(failed)} failed, ${count(unacknowledged)} unacknowledged; ${count(ratePerSecond)} readings/s`,
  ];
  const faults = Object.entries(summary.faults ?? {});
  if (faults.length > 0) {
    lines.push(`faults injected: ${faults.map(([type, n]) => `${count(n)} ${type}`).join(', ')}`);
  }
  for (const recording of summary.recordings ?? []) {
    const { file, device, cells, readings, missing, notANumber, badTimestamp, longRows, skippedColumns } = recording;
    const left = [
      [missing, 'empty'],
      [notANumber, 'not a number'],
      [badTimestamp, 'without a readable time'],
    ] as const;
    const reasons = left.filter(([n]) => n > 0).map(([n, reason]) => `${count(n)} ${reason}`);
    const long = longRows > 0 ? `; ${count(longRows)} rows longer than the header` : '';
    const skipped = skippedColumns.length > 0 ? `; columns left out: ${skippedColumns.join(', ')}` : '';
    lines.push(
      `${file} as ${device}: ${count(cells)} cells read, ${count(readings)} of them readings` +
        `${reasons.length > 0 ? `, ${reasons.join(', ')}` : ''}${long}${skipped}`,
    );
  }
  return lines.join('\n');
}
