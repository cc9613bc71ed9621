import { gatewayKey, instantInWords, partitionOf, type Row, type WindowRow } from '@floorwatch/contracts';
import { messageOf, pause } from '@floorwatch/runtime';
import { errors } from '@nats-io/transport-node';

import { processorLimits } from '../limits.ts';
import type { PartitionRunner } from '../partition-runner.ts';
import { readWindows } from '../write/read-windows.ts';
import { rowKey } from '../write/row-key.ts';
import { isOlder } from '../write/store-comparer.ts';
import type { Store } from '../write/store.ts';
import type { DeadLetters } from './dead-letters.ts';

/** What became of an attempt, with a sentence for a person. */
export type RetryOutcome =
  | { readonly kind: 'retried' }
  | { readonly kind: 'unknown' | 'impossible' | 'refused-again' | 'not-now'; readonly message: string };

/**
 * Tries a dead letter again. A batch is published into the stream once more and takes the way of every batch; numbers that have been
 * passed over since count as duplicates. A row goes into the outbox of its partition, if nothing newer of its key can be in the store.
 *
 * @param publish resolves when the stream has the message; undefined while there is no connection.
 * @param store where a row goes; asked for what it holds of a window.
 */
export async function retryLetter(
  letters: Pick<DeadLetters, 'get' | 'retry'>,
  id: string,
  runners: readonly PartitionRunner[],
  publish: ((subject: string, data: Uint8Array) => Promise<unknown>) | undefined,
  store: Pick<Store, 'windows'>,
): Promise<RetryOutcome> {
  const letter = await letters.get(id);
  if (letter === undefined) return { kind: 'unknown', message: `there is no dead letter ${id}` };
  let act: () => Promise<void>;
  if (letter.kind === 'batch') {
    const data = Buffer.from(letter.data, 'base64');
    if (data.length < letter.bytes)
      return { kind: 'impossible', message: `only ${data.length} of its ${letter.bytes} bytes are kept` };
    if (publish === undefined) return { kind: 'not-now', message: 'NATS is not connected; try again later' };
    act = async () => void (await publish(letter.subject, data));
  } else {
    const { row } = letter;
    if (!isLastValue(row)) {
      return { kind: 'impossible', message: `the store may hold a newer value of this ${row.table}; drop it` };
    }
    const partition = partitionOf('sensor' in row ? row.sensor : row);
    const runner = runners.find((candidate) => candidate.partition.number === partition);
    if (runner === undefined) {
      return { kind: 'impossible', message: `it belongs to partition ${partition}, which this processor has not got` };
    }
    if (row.table === 'window') {
      const why = await whyNot(runner, row, store);
      if (why !== undefined) return why;
    }
    act = async () => putSafely(runner, row);
  }
  try {
    if (await letters.retry(id, act, Date.now)) return { kind: 'retried' };
  } catch (error) {
    const denied = deniedSubject(error);
    if (denied === undefined) return { kind: 'not-now', message: messageOf(error) };
    return {
      kind: 'impossible',
      message:
        `NATS does not let the processor publish to ${denied}, because only the gateway may. As long as its floor is below these numbers, the gateway ` +
        'sends them again by itself; else give the processors this right until it is tried again (docs/runbooks/nats.md)',
    };
  }
  return { kind: 'refused-again', message: 'the store refused it again' };
}

/** Whether no newer value of the row's key can exist. */
function isLastValue(row: Row): boolean {
  if (row.table === 'anomaly') return row.phase === 'closed';
  return row.table === 'window' || row.table === 'gateway';
}

/** Why a window can't be brought in: readings that came after it was refused were stored without it. */
async function whyNot(
  { partition }: PartitionRunner,
  row: WindowRow,
  store: Pick<Store, 'windows'>,
): Promise<RetryOutcome | undefined> {
  try {
    if (partition.windows.lateWindows.rollups > 0)
      return { kind: 'not-now', message: 'late readings are just being merged into windows; try again in a minute' };
    const unsent = partition.outbox.get(rowKey(row));
    const stored = (await readWindows(store, row.sensor, row.size, [row.start])).get(row.start);
    if (unsent === undefined && (stored === undefined || !isOlder(row, stored))) return undefined;
  } catch (error) {
    return { kind: 'not-now', message: messageOf(error) };
  }
  const range = `--from ${instantInWords(row.start)} --to ${instantInWords(row.start + row.size)}`;
  return {
    kind: 'impossible',
    message: `late readings of this window were stored without it; make it again with "floorwatch-processor reprocess ${range}", then drop this`,
  };
}

/** Resolves when a checkpoint that holds the row, or was taken after the store had taken it, is safe. */
async function putSafely(runner: PartitionRunner, row: Row): Promise<void> {
  const { partition, checkpoints } = runner;
  const before = checkpoints.saved;
  const deadline = AbortSignal.timeout(processorLimits.retryLetterMsMax);
  partition.putAgain(row);
  // Two: the one under way may have been captured before.
  while (checkpoints.saved < before + 2) {
    if (deadline.aborted) throw new Error(`no checkpoint was saved; the row of ${describe(row)} stays a dead letter`);
    partition.markDirty();
    await pause(50, deadline);
  }
}

const describe = (row: Row): string => gatewayKey('sensor' in row ? row.sensor : row);

/** The subject that NATS did not let this user publish to; undefined: something else went wrong. */
function deniedSubject(error: unknown): string | undefined {
  if (error instanceof errors.PermissionViolationError) return error.subject;
  return error instanceof Error && error.cause !== undefined ? deniedSubject(error.cause) : undefined;
}
