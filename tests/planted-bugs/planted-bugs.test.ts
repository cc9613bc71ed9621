import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { describe, expect, it } from 'vitest';

import { plantedBugs as chaosBugs } from '../chaos/planted-bugs.mjs';
import { plantedBugs as simulationBugs } from '../simulation/planted-bugs.mjs';
import { repositoryRoot, resourcesPerTest } from '../support/index.ts';
import { plantedBugs as unitBugs } from './unit-bugs.mjs';
import { type Edit, planted, type PlantedBug } from './place.mjs';

const resources = resourcesPerTest();

const TEXT = `
export class Queue {
  #items: number[] = [];

  take(max: number): number[] {
    // The oldest first.
    if (max > this.#items.length) return this.#items.splice(0);
    return this.#items.splice(0, max);
  }

  #drop(max: number): void {
    this.#items.splice(0, max);
  }
}
`;

/** A workspace "a" with these files. */
async function sources(files: Readonly<Record<string, string>>): Promise<string> {
  const root = await resources.directory();
  await mkdir(join(root, 'a/src/deep'), { recursive: true });
  for (const [name, text] of Object.entries(files)) await writeFile(join(root, 'a/src', name), text);
  return root;
}

const edit = (find: string, replace: string, place?: string): Edit => ({
  folder: 'a',
  find,
  replace,
  ...(place !== undefined && { place }),
});

describe.each<[string, readonly PlantedBug[]]>([
  ['chaos scenarios', chaosBugs],
  ['the simulation', simulationBugs],
  ['unit tests', unitBugs],
])('planted bugs of %s', (_, bugs) => {
  it.each(bugs.map((bug) => [bug.name, bug] as const))('%s finds its place', (_name, { edits }) => {
    for (const each of edits) expect(planted(repositoryRoot, each).text).not.toBe('');
  });

  it('have names of their own', () => {
    expect(new Set(bugs.map(({ name }) => name)).size).toBe(bugs.length);
  });
});

describe('a planted bug', () => {
  const ofTake = edit('this.#items.splice(0, max)', 'this.#items.splice(1, max)', 'Queue.take');

  it('is put where it belongs, however the code around it is written and in whatever file it is', async () => {
    const reformatted = TEXT.replace(
      'splice(0, max);\n  }\n\n  #drop',
      'splice(\n  0, /* all */ max,\n);\n  }\n\n  #drop',
    );
    expect(reformatted).not.toBe(TEXT);
    for (const root of [await sources({ 'queue.ts': TEXT }), await sources({ 'deep/other.ts': reformatted })]) {
      const { text } = planted(root, ofTake);
      expect(text).toContain('return this.#items.splice(1, max);');
      expect(text).toContain('#drop(max: number): void {\n    this.#items.splice(0, max);');
    }
  });

  it('can be statements, a condition or a property, and keep what was there', async () => {
    const root = await sources({ 'queue.ts': TEXT, 'options.ts': 'export const options = { size: 3, max: 4 };' });
    expect(planted(root, edit('max > this.#items.length', 'max >= this.#items.length')).text).toContain('if (max >=');
    expect(planted(root, edit('size: 3', '$&00')).text).toContain('{ size: 300, max: 4 }');
    expect(planted(root, edit('this.#items.splice(0, max);', 'if (max > 1) $&', '#drop')).text).toContain(
      'if (max > 1) this.#items.splice(0, max);',
    );
  });

  it('whose place is gone, is there twice or is none of the code any more is told apart', async () => {
    const root = await sources({ 'queue.ts': TEXT });
    const find = 'this.#items.splice(0, max)';
    expect(() => planted(root, edit(find, ''))).toThrow(/^a: 2 places instead of one that read\nthis\.#items/);
    expect(() => planted(root, edit(find, '', 'Stack.take'))).toThrow('a, Stack.take: 0 places instead of one');
    expect(() => planted(root, edit('if (max', ''))).toThrow('looks for what is no code');
    expect(() => planted(root, { ...ofTake, replace: 'this.' })).toThrow('is no TypeScript with the bug');
  });
});
