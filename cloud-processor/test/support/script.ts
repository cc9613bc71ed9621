import type { FloorRecord } from '@floorwatch/contracts';

import type { StreamMessage } from '../../src/partition.ts';
import { anomaly, BASE, batchOf, messageOf, MINUTE, report, rollups, start, tick } from './floor.ts';

/**
 * What the stream of one partition may hold in five minutes: rollups, ticks and reports of a gateway, episodes that open, go on and
 * close, late readings, a restart of the agent, batches sent twice, gaps, a hole that is healed, and messages that nobody can use.
 */
export function scriptedStream(): StreamMessage[] {
  const messages: StreamMessage[] = [];
  const send = (message: Omit<StreamMessage, 'sequence'>): void => {
    // Other partitions use sequences, too.
    messages.push({ ...message, sequence: 3 * messages.length + 2 });
  };
  const telemetry = (epoch: string, ...records: FloorRecord[]): Omit<StreamMessage, 'sequence'> =>
    messageOf(batchOf(records, { epoch }), 0);
  const anomalies = (epoch: string, ...records: FloorRecord[]): Omit<StreamMessage, 'sequence'> =>
    messageOf(batchOf(records, { epoch, lane: 'anomaly' }), 0);
  const reading = (at: number, value: number, sensor = 0) => ({ sensor, at: BASE + at, value });
  const counted = (number: number): FloorRecord => report(number, { readingsAccepted: number });

  const [first, second] = ['1-0000000a', '2-0000000b'];
  send(
    telemetry(
      first,
      start(),
      rollups(2, [reading(0, 1.1), reading(0, 7.3, 1), reading(9_999, 2.7)]),
      tick(3, BASE + 10_000),
    ),
  );
  send(anomalies(first, start(), anomaly(2, 1, 'opened')));
  const repeated = telemetry(first, rollups(4, [reading(20_000, 0.3), reading(61_000, 5)]), counted(5));
  send(repeated);
  send(repeated);
  send(anomalies(first, anomaly(3, 1, 'updated', 2), anomaly(4, 2, 'opened')));
  send({ ...repeated, subject: 'ingest.v1.3.someone.else.telemetry', data: new TextEncoder().encode('not a batch') });
  send(telemetry(first, tick(6, BASE + MINUTE + 30_000), rollups(7, [reading(70_000, 4, 2)])));
  send(anomalies(first, anomaly(5, 1, 'closed', 3)));
  // Late for the first minute, in time for the longer windows.
  send(telemetry(first, rollups(8, [reading(30_000, 9), reading(31_000, 8, 1)]), rollups(9, [reading(32_000, 7)])));
  const gap = telemetry(
    first,
    { kind: 'gap', number: 10, to: 13, reason: 'cap', frames: [] },
    rollups(14, [reading(100_000, 6)]),
  );
  send(gap);
  // Number 15 is lost on the way, and what comes behind it waits for the gateway to send all of it again.
  const lost = telemetry(first, rollups(15, [reading(110_000, 5)]));
  const behind = telemetry(first, rollups(16, [reading(130_000, 2)]), tick(17, BASE + 3 * MINUTE));
  send(behind);
  const next = telemetry(
    second,
    start({ epoch: first, last: 17 }),
    rollups(2, [reading(190_000, 3), reading(191_000, 4)]),
    counted(3),
  );
  send(next);
  send(anomalies(second, start({ epoch: first, last: 5 }), anomaly(2, 2, 'closed', 5), anomaly(3, 3, 'opened')));
  send(gap);
  send(lost);
  send(behind);
  send(next);
  send(telemetry(first, tick(17, BASE + 3 * MINUTE)));
  // A gap that has grown downwards since, over numbers that are applied.
  send(
    telemetry(
      second,
      { kind: 'gap', number: 2, to: 4, reason: 'damage', frames: [] },
      rollups(5, [reading(250_000, 1e9), reading(250_001, 1e9 + 1e-3)]),
      tick(6, BASE + 5 * MINUTE),
    ),
  );
  send(anomalies(second, anomaly(4, 3, 'updated', 2)));
  send(telemetry(second, rollups(7, [reading(299_999, 1)]), tick(8, BASE + 3 * 3_600_000)));
  return messages;
}
