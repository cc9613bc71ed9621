import { mkdtemp, readdir, readFile, rename, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { crc32 } from 'node:zlib';

import { nodeFileSystem } from '@floorwatch/segment-log';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { SnapshotFile, type SnapshotFileSystem } from '../../src/snapshot/snapshot-file.ts';
import type { StateSection } from '../../src/state-section.ts';

let directory = '';
beforeEach(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'snapshot-'));
});
afterEach(async () => rm(directory, { recursive: true }));

const sectionsOf = (seed: number): StateSection[] => [
  {
    name: 'words',
    version: 3,
    values: { list: ['ä', { deep: [seed, null] }], empty: {}, none: [], text: '"\\', skipped: undefined, yes: true },
    arrays: {},
  },
  {
    name: 'numbers',
    version: 1,
    values: null,
    arrays: {
      float64: Float64Array.of(seed, NaN, Infinity, -0, 1e-320),
      float32: Float32Array.of(0.5, seed, 3),
      int32: Int32Array.of(-1),
      uint32: Uint32Array.of(2 ** 32 - 1, 7, 8),
      uint16: Uint16Array.of(65_535),
      uint8: Uint8Array.of(1, 2, 3, 4, 5),
      empty: new Float64Array(),
    },
  },
];
/** What comes back: JSON has no fields that are undefined. */
const readOf = (seed: number): StateSection[] => {
  const [words, numbers] = sectionsOf(seed);
  const { skipped: _, ...values } = words!.values as Record<string, unknown>;
  return [{ ...words!, values }, numbers!];
};
const headerOf = (seed: number) => ({ position: seed, note: 'ü' });
const file = (name = 'snapshot'): string => path.join(directory, name);
const open = (fileSystem?: SnapshotFileSystem): SnapshotFile => new SnapshotFile(directory, fileSystem);
const loaded = async () => open().load();

describe('a snapshot file', () => {
  it('gives back what was saved, and the size that it says', async () => {
    const bytes = await open().save(headerOf(1), sectionsOf(1));
    expect(await loaded()).toEqual({
      snapshot: { header: headerOf(1), sections: readOf(1), bytes },
      problems: [],
    });
    expect((await readFile(file())).length).toBe(bytes);
  });

  it('is not there at first', async () => {
    expect(await loaded()).toEqual({ problems: [] });
  });

  it('keeps the one before the newest, and nothing else', async () => {
    for (const seed of [1, 2, 3]) await open().save(headerOf(seed), sectionsOf(seed));
    expect((await readdir(directory)).sort()).toEqual(['snapshot', 'snapshot.previous']);
    expect((await loaded()).snapshot?.header).toEqual(headerOf(3));
    await rm(file());
    expect((await loaded()).snapshot?.header).toEqual(headerOf(2));
  });

  it('can be large, and others work while it is written', async () => {
    const numbers = Float64Array.from({ length: 1_000_000 }, (_, i) => i);
    const names = Array.from({ length: 50_000 }, (_, i) => ({ device: `press-${i}`, metric: 'temperature' }));
    const saved = { name: 'large', version: 1, values: { names }, arrays: { numbers } };
    let turns = 0;
    const timer = setInterval(() => (turns += 1), 0);
    await open().save({}, [saved]);
    clearInterval(timer);
    expect(turns).toBeGreaterThan(10);
    const read = (await loaded()).snapshot!.sections[0]!;
    expect(JSON.stringify(read.values)).toBe(JSON.stringify(saved.values));
    const bytesOf = ({ buffer, byteOffset, byteLength }: Float64Array): Buffer =>
      Buffer.from(buffer, byteOffset, byteLength);
    expect(bytesOf(read.arrays['numbers'] as Float64Array).equals(bytesOf(numbers))).toBe(true);
  });
});

describe('a damaged snapshot', () => {
  it('is found out wherever a bit is wrong, and the one before it serves', async () => {
    await open().save(headerOf(1), sectionsOf(1));
    await open().save(headerOf(2), sectionsOf(2));
    const whole = await readFile(file());
    for (let place = 0; place < whole.length; place++) {
      const damaged = Buffer.from(whole);
      damaged[place] = damaged[place]! ^ (1 << (place % 8));
      await writeFile(file(), damaged);
      const { snapshot, problems } = await loaded();
      expect(snapshot, `byte ${place}`).toMatchObject({ header: headerOf(1) });
      expect(problems).toEqual([expect.stringContaining(`${file()} can't be used`)]);
    }
  });

  it('is found out when it is cut off anywhere, or longer than it was', async () => {
    await open().save(headerOf(1), sectionsOf(1));
    const whole = await readFile(file());
    for (let length = whole.length - 1; length >= 0; length -= 1) {
      await truncate(file(), length);
      expect(await loaded(), `${length} bytes`).toEqual({ problems: [expect.any(String)] });
    }
    await writeFile(file(), Buffer.concat([whole, Buffer.alloc(8)]));
    expect((await loaded()).snapshot).toBeUndefined();
  });

  it('never takes the place of the one before it', async () => {
    await open().save(headerOf(1), sectionsOf(1));
    await open().save(headerOf(2), sectionsOf(2));
    await truncate(file(), 100);
    const snapshots = open();
    await snapshots.load();
    await snapshots.save(headerOf(3), sectionsOf(3));
    await rm(file());
    expect((await loaded()).snapshot?.header).toEqual(headerOf(1));
  });

  it('makes nobody allocate or read beyond it, whatever lengths it claims and though its checksums are right', async () => {
    await open().save(headerOf(1), sectionsOf(1));
    const whole = await readFile(file());
    const change = fc.record({
      place: fc.integer({ min: 24, max: whole.length - 1 }),
      bytes: fc.uint8Array({ minLength: 1, maxLength: 12 }),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 4 }), async (changes) => {
        const forged = Buffer.from(whole);
        for (const { place, bytes } of changes) forged.set(bytes.subarray(0, forged.length - place), place);
        forged.writeUInt32LE(crc32(forged.subarray(24)), 16);
        forged.writeUInt32LE(crc32(forged.subarray(0, 20)), 20);
        await writeFile(file(), forged);
        const { snapshot, problems } = await loaded();
        expect((snapshot === undefined ? 0 : 1) + problems.length).toBe(1);
      }),
      { numRuns: 500 },
    );
  });
});

it('a snapshot of a newer format is refused, and told how to go on', async () => {
  await open().save(headerOf(1), sectionsOf(1));
  const newer = await readFile(file());
  newer.write('2', 7);
  newer.writeUInt32LE(crc32(newer.subarray(0, 20)), 20);
  await writeFile(file(), newer);
  await expect(loaded()).rejects.toMatchObject({
    code: 'format',
    retryable: false,
    message: expect.stringMatching(/newer release.*move the file away/),
  });
});

/** The machine's file system, which stops at an operation: it and all after it fail. */
function failing(after: number, error: Error): { readonly fileSystem: SnapshotFileSystem; done(): number } {
  let operations = 0;
  const step = (): void => {
    operations += 1;
    if (operations > after) throw error;
  };
  const fileSystem: SnapshotFileSystem = {
    async open(name, mode) {
      step();
      const handle = await nodeFileSystem.open(name, mode);
      return {
        size: async () => handle.size(),
        hasName: async () => handle.hasName(),
        read: async (offset, length) => handle.read(offset, length),
        truncate: async (size) => handle.truncate(size),
        close: async () => handle.close(),
        async write(bytes, offset) {
          // What is cut off has written some of it.
          await handle.write(bytes.subarray(0, bytes.length >> 1), offset);
          step();
          await handle.write(bytes, offset);
        },
        async sync() {
          step();
          await handle.sync();
        },
      };
    },
    async remove(name) {
      step();
      await nodeFileSystem.remove(name);
    },
    async syncDirectory(name) {
      step();
      await nodeFileSystem.syncDirectory(name);
    },
    async rename(from, to) {
      step();
      await rename(from, to);
    },
  };
  return { fileSystem, done: () => operations };
}

describe('saving that stops', () => {
  const noSpace = (): Error => Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' });

  it('leaves the newest snapshot or the new one, whatever the step, and the next one is saved', async () => {
    const all = failing(Infinity, noSpace());
    await open().save(headerOf(0), sectionsOf(0));
    await open(all.fileSystem).save(headerOf(-1), sectionsOf(-1));
    for (let after = 0; after < all.done(); after++) {
      await open().save(headerOf(after), sectionsOf(after));
      const stopped = open(failing(after, noSpace()).fileSystem).save(headerOf(-1), sectionsOf(-1));
      await expect(stopped).rejects.toMatchObject({ code: 'disk-full', retryable: true });
      const { snapshot, problems } = await loaded();
      expect(problems).toEqual([]);
      // Only the last step comes after the new name.
      const position = after === all.done() - 1 ? -1 : after;
      expect(snapshot?.header, `after ${after} steps`).toEqual(headerOf(position));
      expect(snapshot?.sections).toEqual(readOf(position));
    }
  });

  it('gives back the room that it took, if it can', async () => {
    await open().save(headerOf(1), sectionsOf(1));
    let writes = 0;
    const { fileSystem } = failing(Infinity, noSpace());
    const full: SnapshotFileSystem = {
      ...fileSystem,
      async open(name, mode) {
        const handle = await nodeFileSystem.open(name, mode);
        handle.write = async () => {
          writes += 1;
          throw noSpace();
        };
        return handle;
      },
    };
    await expect(open(full).save(headerOf(2), sectionsOf(2))).rejects.toMatchObject({ code: 'disk-full' });
    expect(writes).toBe(1);
    expect(await readdir(directory)).toEqual(['snapshot']);
    expect((await loaded()).snapshot?.header).toEqual(headerOf(1));
  });

  it('is tried again over what a crash left behind', async () => {
    await writeFile(file('snapshot.new'), 'half of a snapsh');
    await open().save(headerOf(1), sectionsOf(1));
    expect(await readdir(directory)).toEqual(['snapshot']);
  });
});
