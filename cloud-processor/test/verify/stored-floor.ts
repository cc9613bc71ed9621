import { COUNT_MS, epochMs, type Lane, partitionOf } from '@floorwatch/contracts';
import { createLogger } from '@floorwatch/runtime';

import { type Resources, waitFor } from '../../../tests/support/index.ts';
import { Partition } from '../../src/partition.ts';
import { describeReport } from '../../src/verify/describe-report.ts';
import type { Difference, VerifyReport, VerifyRequest, VerifyStatus } from '@floorwatch/contracts/api';
import { Verifier } from '../../src/verify/verifier.ts';
import { createStore } from '../../src/write/create-store.ts';
import type { StoreConfig } from '../../src/write/store-config.ts';
import type { Store } from '../../src/write/store.ts';
import { BASE, deaf, GATEWAY, messageOf, partitionBasics } from '../support/floor.ts';
import { CountingGateway } from './counting-gateway.ts';

const never = new AbortController().signal;
const logger = createLogger('test', 'silent');

/** A partition and a store, without a stream between the gateway and them. */
export class Floor {
  readonly gateway = new CountingGateway();
  store: Store;
  readonly partition: Partition;
  #sequence = 0;
  /** Rows that are older may be gone from the store. */
  keptFrom = -Infinity;

  constructor(store: Store) {
    this.store = store;
    this.partition = new Partition({
      ...partitionBasics,
      number: partitionOf(GATEWAY),
      observer: deaf,
      deadLetters: {
        addBatch: ({ message }) => {
          throw new Error(message);
        },
      },
      from: undefined,
    });
  }

  static async open(config: StoreConfig, resources: Resources): Promise<Floor> {
    const floor = new Floor(createStore(config, logger));
    await floor.store.connect(never);
    resources.defer(async () => floor.store.close());
    return floor;
  }

  /** Opens the store again, after `change` was made to what it keeps. */
  async reopen(config: StoreConfig, change: () => Promise<void>): Promise<void> {
    await this.store.close();
    await change();
    this.store = createStore(config, logger);
    await this.store.connect(never);
  }

  /** The processor takes what the gateway has sent. */
  apply(gateway: CountingGateway = this.gateway, lane?: Lane): void {
    for (const batch of gateway.batches(lane)) {
      this.partition.apply(messageOf(batch, ++this.#sequence), epochMs(BASE));
    }
  }

  /** Everything that may go into the store does. */
  async write(): Promise<void> {
    const { outbox } = this.partition;
    outbox.saved(outbox.capture().ordinal);
    for (let rows = outbox.take(1_000, 0); rows.length > 0; rows = outbox.take(1_000, 0)) {
      const outcome = await this.store.write(rows, never);
      if (outcome.kind !== 'written') throw new Error(JSON.stringify(outcome.refused));
      outbox.settle();
    }
  }

  async verify(request: VerifyRequest = {}): Promise<VerifyReport> {
    const status = await this.verified(request);
    if (status.report === null) throw new Error(`${status.state}: ${status.problem}`);
    const verdict = !status.report.ok
      ? /^DOES NOT ADD UP/
      : status.report.isProven
        ? /adds? up|no hour of readings|nothing to compare/i
        : /^NOT PROVEN|^nothing to compare/;
    const last = describeReport(status).at(-1) ?? '';
    if (!verdict.test(last)) throw new Error(`the report says: ${last}`);
    return status.report;
  }

  /** @param now the processor's clock */
  async verified(request: VerifyRequest, now: number = Date.now()): Promise<VerifyStatus> {
    const target = {
      store: this.store,
      sizes: partitionBasics.windows.sizes,
      keptFrom: () => this.keptFrom,
      now: () => epochMs(now),
      ready: () => true,
      cut: async () => [this.partition.capture()],
      figures: () => ({ deadLetters: 0, expired: 0, refusedReadings: {} }),
    };
    const verifier = new Verifier(target, logger);
    verifier.start(request);
    await waitFor('the verification ends', () => verifier.status?.state !== 'running');
    return verifier.status!;
  }
}

/** What the differences say, without figures and advice. */
export const shown = (differences: readonly Difference[]): string[] =>
  differences.map(({ kind, sensor, size, from, told, stored }) => {
    const hour = from === null ? '' : ` hour ${(from - BASE) / COUNT_MS}`;
    return `${kind} ${sensor ?? 'gateway'} ${size ?? '-'}${hour}: ${told?.n ?? '-'} told, ${stored?.n ?? '-'} stored`;
  });
