import { epochMs } from '@floorwatch/contracts';
import { ITEM_LENGTH_BYTES } from '@floorwatch/segment-log';

import { type AcceptedReading, Intake, type IntakeConfig, type Taken } from '../../src/ingest/intake.ts';
import type { Sender } from '../../src/ingest/message-identity.ts';
import type { RawMessage } from '../../src/ingest/raw-message.ts';
import { JournalItemWriter, readJournalItem } from '../../src/journal/journal-item.ts';
import type { StateSection } from '../../src/state-section.ts';

export const NOW = epochMs(Date.UTC(2026, 0, 31, 12));
export const clock = { now: NOW, quality: 'synchronised' } as const;

export const intakeConfig: IntakeConfig = {
  topics: [{ topic: 'sensors/{device}/{metric}', codec: 'auto' }],
  sensorsMax: 100,
  readings: { futureMsMax: 600_000, duplicatesRemembered: 64, perMessageMax: 100 },
  units: { rules: [], aliases: [] },
  valueAbsMax: 1e150,
};

/** A connection of a device, until it is cut. */
export class Connection implements Sender {
  readonly clientId: string;
  isOpen = true;

  constructor(clientId: string) {
    this.clientId = clientId;
  }

  cut(): void {
    this.isOpen = false;
  }

  /** @param packetId 0: of QoS 0. */
  message(
    packetId: number,
    payload: object | number,
    { isDup = false, topic = 'sensors/a/b', at = NOW }: { isDup?: boolean; topic?: string; at?: number } = {},
  ): RawMessage {
    return {
      topic,
      payload: Buffer.from(JSON.stringify(payload)),
      receivedAt: epochMs(at),
      retained: false,
      sent: { sender: this, packetId, isDup },
    };
  }
}

/** A delivery that is on its way to the disk. */
interface Open {
  readonly taken: Taken;
  readonly settled: (isAnswered: boolean) => void;
}

/** The intake of an agent with its journal, its snapshot and its kills; what is written is read again as the disk has it. */
export class RepeatJudge {
  readonly #writer = new JournalItemWriter();
  #journal: Buffer[] = [];
  #snapshot: readonly StateSection[] = [];
  #open: Open[] = [];
  intake = new Intake(intakeConfig, { claim: () => false });

  /** Readings in the journal. */
  get journaled(): AcceptedReading[] {
    return this.#journal.map((bytes) => {
      const item = readJournalItem(bytes);
      if (item.kind !== 'reading') throw new Error('not a reading');
      return item;
    });
  }

  get values(): number[] {
    return this.journaled.map(({ reading }) => reading.value);
  }

  /** Deliveries that are taken and not settled. */
  get open(): number {
    return this.#open.length;
  }

  take(messages: readonly RawMessage[], settled: (isAnswered: boolean) => void = () => undefined): void {
    this.#open.push({ taken: this.intake.take(messages, clock), settled });
  }

  /** The oldest open delivery is safe, and its messages are answered. */
  commit(): void {
    const one = this.#open.shift();
    if (one === undefined) return;
    this.#keep(one.taken);
    one.settled(true);
  }

  #keep(taken: Taken): void {
    this.#write(taken);
    this.intake.settled(taken, true);
    this.intake.position = this.#journal.length;
  }

  /** The oldest open delivery is refused; so are those behind it, whether or not they become safe. Connections are to be cut before. */
  refuse(): void {
    const [first, ...rest] = this.#open;
    this.#open = [];
    if (first === undefined) return;
    this.intake.settled(first.taken, false);
    first.settled(false);
    for (const { taken, settled } of rest) {
      this.#keep(taken);
      settled(false);
    }
  }

  /** Takes messages, which are answered. */
  accept(...messages: readonly RawMessage[]): void {
    this.take(messages);
    this.commit();
  }

  #write({ readings }: Taken): void {
    for (const item of readings) {
      this.#writer.reading(item);
      this.#journal.push(Buffer.from(this.#writer.take().bytes.subarray(ITEM_LENGTH_BYTES)));
    }
  }

  snapshot(): void {
    this.#snapshot = structuredClone(this.intake.snapshot());
  }

  /** Bytes of the newest reading in the journal. */
  get lastBytes(): number {
    return ITEM_LENGTH_BYTES + (this.#journal.at(-1)?.length ?? 0);
  }

  /** The process is gone, and the next one begins. @param written open deliveries that are in the journal all the same. Connections are to be cut before. */
  kill(written = 0): void {
    for (const { taken } of this.#open.slice(0, written)) this.#write(taken);
    this.#open = [];
    this.intake = new Intake(intakeConfig, { claim: () => false });
    this.intake.restore(this.#snapshot);
    for (const item of this.journaled.slice(this.intake.position)) this.intake.replay(item);
    this.intake.position = this.#journal.length;
  }
}
