import { copyFile, readFile } from 'node:fs/promises';
import path from 'node:path';

import { epochMs, type WindowRow } from '@floorwatch/contracts';
import { createLogger } from '@floorwatch/runtime';
import { describe, expect, it, vi } from 'vitest';

import { resourcesPerTest } from '../../../tests/support/index.ts';
import { CheckpointFile } from '../../src/checkpoint/checkpoint-file.ts';
import { CHECKPOINT_VERSION } from '../../src/checkpoint/format.ts';
import { deafObserver } from '../../src/floor-observer.ts';
import { Partition, type StreamMessage } from '../../src/partition.ts';
import { LateCorrector } from '../../src/write/late-corrector.ts';
import { partitionBasics } from '../support/floor.ts';
import { MemoryStore } from '../support/memory-store.ts';
import { scriptedStream } from '../support/script.ts';

// Saving is slow on a busy machine.
vi.setConfig({ testTimeout: 60_000 });

const resources = resourcesPerTest();
const never = new AbortController().signal;
const NEXT = CHECKPOINT_VERSION + 1;

/** A build of the processor: it reads and writes checkpoints of one version of the format, and everything up to it. */
class Build {
  readonly partition: Partition;
  readonly #file: CheckpointFile;
  readonly #store: MemoryStore;

  private constructor(file: CheckpointFile, store: MemoryStore, partition: Partition) {
    this.#file = file;
    this.#store = store;
    this.partition = partition;
  }

  /** Starts with the checkpoint in the folder, if there is one. */
  static async start(folder: string, store: MemoryStore, version: number): Promise<Build> {
    const file = new CheckpointFile(folder, 3, `of version ${version}`, version);
    const loaded = await file.load();
    const from = loaded.kind === 'none' ? undefined : loaded.state;
    const deadLetters = { addBatch: () => undefined };
    const partition = new Partition({ ...partitionBasics, number: 3, observer: deafObserver, deadLetters, from });
    return new Build(file, store, partition);
  }

  /** Applies messages, and saves a checkpoint. What is made leaves only if it may. */
  async apply(messages: readonly StreamMessage[], sends: boolean): Promise<void> {
    for (const message of messages) {
      if (message.sequence > this.partition.cursor.position) this.partition.apply(message, epochMs(0));
    }
    await this.#save();
    if (sends) await this.#send();
  }

  async #save(): Promise<void> {
    const state = this.partition.capture();
    await this.#file.save(state);
    this.partition.outbox.saved(state.ordinal);
  }

  async #send(): Promise<void> {
    const { partition } = this;
    const logger = createLogger('test', 'silent');
    await new LateCorrector({ target: partition, store: this.#store, logger, ready: () => true }).round(never);
    await this.#save();
    for (let rows = partition.outbox.take(100, 0); rows.length > 0; rows = partition.outbox.take(100, 0)) {
      await this.#store.write(rows, never);
      partition.settle();
    }
    await this.#save();
  }
}

async function connected(): Promise<MemoryStore> {
  const store = new MemoryStore();
  await store.connect(never);
  return store;
}

/** What a run makes that nothing happens to. */
async function undisturbed(messages: readonly StreamMessage[]): Promise<Record<string, string>> {
  const store = await connected();
  const build = await Build.start(await resources.directory(), store, CHECKPOINT_VERSION);
  await build.apply(messages, true);
  return contentsOf(store);
}

const contentsOf = (store: MemoryStore): Record<string, string> =>
  store.contents('window', 'anomaly', 'late', 'gateway', 'counted', 'counted_episodes');

const sample = (name: string): URL => new URL(`samples/${name}`, import.meta.url);

/** The messages of the run that a sample was taken in the middle of. */
async function messagesOf(version: number): Promise<StreamMessage[]> {
  const lines = (await readFile(sample(`version-${version}.messages.ndjson`), 'utf8')).trimEnd().split('\n');
  return lines.map((line) => {
    const { subject, sequence, storedAt, data } = JSON.parse(line) as StreamMessage & { data: string };
    return { subject, sequence, storedAt, data: Buffer.from(data, 'base64') };
  });
}

describe('a run that was stopped with open windows', () => {
  it('is continued by a build with the next format as if nothing had happened, from any message on', async () => {
    const messages = scriptedStream();
    const expected = await undisturbed(messages);
    for (let half = 1; half < messages.length; half += 3) {
      const [folder, store] = [await resources.directory(), await connected()];
      const before = await Build.start(folder, store, CHECKPOINT_VERSION);
      await before.apply(messages.slice(0, half), half % 2 === 0);
      await (await Build.start(folder, store, NEXT)).apply(messages.slice(0, half + 2), half % 2 === 1);
      // And once more, from what the newer build has written.
      await (await Build.start(folder, store, NEXT)).apply(messages, true);
      expect(contentsOf(store)).toEqual(expected);
      await expect(Build.start(folder, store, CHECKPOINT_VERSION)).rejects.toMatchObject({ code: 'newer' });
    }
  });

  // Taken in the middle of a run by the releases that wrote them, with late readings waiting and rows unsent; never to be made anew.
  it.each([1, 2, 3])('and left a checkpoint of version %i is continued with the same result', async (version) => {
    const messages = await messagesOf(version);
    const [folder, store] = [await resources.directory(), await connected()];
    await copyFile(sample(`version-${version}.run.ndjson`), path.join(folder, 'partition-03.ndjson'));
    const build = await Build.start(folder, store, CHECKPOINT_VERSION);
    expect(build.partition.windows.openWindows).toBeGreaterThan(5);
    expect(build.partition.cursor.position).toBeLessThan(messages.at(-1)!.sequence);
    await build.apply(messages, true);
    const [found, expected] = [contentsOf(store), await undisturbed(messages)];
    expect(Object.keys(found)).toEqual(Object.keys(expected));
    for (const [key, text] of Object.entries(expected)) {
      expect([key, knownThen(version, found[key]!)]).toEqual([key, knownThen(version, text)]);
    }
  });
});

/** A row as text without what a release of that checkpoint version did not know. */
function knownThen(version: number, text: string): unknown {
  const { through, source: _source, ...row } = JSON.parse(text) as WindowRow & { source?: unknown };
  return version === 1 ? row : { ...row, through };
}
