import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

import { describe, expect, it } from 'vitest';

import { repositoryRoot } from '../support/index.ts';

/** A link of a page; a picture is one too. */
interface Link {
  /** As it is written. */
  readonly text: string;
  /** Path of a file or folder, from the root of the repository. */
  readonly target: string;
  /** The heading in that page, as addresses write it; empty: none. */
  readonly heading: string;
}

const read = (file: string): string => readFileSync(path.join(repositoryRoot, file), 'utf8');

/** Paths from the root of all files below a folder that a person has written. */
function filesBelow(folder: string, wanted: (name: string) => boolean): string[] {
  return readdirSync(path.join(repositoryRoot, folder), { withFileTypes: true }).flatMap((entry) => {
    if (entry.name.startsWith('.') || entry.name === 'node_modules' || entry.name === 'dist') return [];
    const file = path.join(folder, entry.name);
    if (entry.isDirectory()) return filesBelow(file, wanted);
    return wanted(entry.name) ? [file] : [];
  });
}

const pages = filesBelow('', (name) => name.endsWith('.md'));

function linksOf(page: string): Link[] {
  const links = [...read(page).matchAll(/\]\(([^)\s]+)\)/g)].map((match) => match[1] ?? '');
  return links
    .filter((text) => !/^[a-z]+:/.test(text))
    .map((text) => {
      const [file = '', heading = ''] = text.split('#', 2);
      return { text, target: file === '' ? page : path.join(path.dirname(page), file), heading };
    });
}

/** The addresses of a page's headings: lower case, without punctuation, with hyphens between the words. */
const headingsOf = (page: string): string[] =>
  [...read(page).matchAll(/^#+ (.*)$/gm)].map(([, title = '']) =>
    title
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}_\- ]/gu, '')
      .replaceAll(' ', '-'),
  );

describe('the documentation', () => {
  it('has no link that leads nowhere', () => {
    const broken = pages.flatMap((page) =>
      linksOf(page)
        .filter(({ target, heading }) => {
          if (!existsSync(path.join(repositoryRoot, target))) return true;
          return heading !== '' && target.endsWith('.md') && !headingsOf(target).includes(heading);
        })
        .map(({ text }) => `${page}: ${text}`),
    );
    expect(pages.length).toBeGreaterThan(50);
    expect(broken).toEqual([]);
  });

  it('can all be reached from the README', () => {
    const reached = new Set(['README.md']);
    // A set goes on with what is added while it is walked.
    for (const page of reached) {
      for (const { target } of linksOf(page)) if (target.endsWith('.md') && pages.includes(target)) reached.add(target);
    }
    expect(pages.filter((page) => !reached.has(page))).toEqual([]);
  });

  it('lists every decision under its title', () => {
    const titles = pages.flatMap((page) => {
      const [, number, title] = /^# (\d{4}) (.*)$/m.exec(read(page)) ?? [];
      return number === undefined ? [] : [`| [${number}](${path.basename(page)}) | ${title} |`];
    });
    const listed = read('docs/adr/README.md').match(/^\| \[\d{4}\].*$/gm);
    expect(titles.length).toBeGreaterThan(15);
    expect(listed).toEqual(titles.toSorted());
  });

  it('explains every dependency, and none that is gone', () => {
    const packages = filesBelow('', (name) => name === 'package.json').map(
      (file) => JSON.parse(read(file)) as Partial<Record<'dependencies' | 'devDependencies', Record<string, string>>>,
    );
    const used = packages.flatMap((manifest) =>
      Object.keys({ ...manifest.dependencies, ...manifest.devDependencies }).filter(
        (name) => !name.startsWith('@floorwatch/'),
      ),
    );
    const explained = [...read('docs/dependencies.md').matchAll(/^\| ([^|]*?) \|/gm)]
      .flatMap(([, names = '']) => names.split(', '))
      .filter((name) => name !== 'package' && !name.startsWith('---'));
    expect(new Set(explained).size).toBe(explained.length);
    expect(explained.toSorted()).toEqual([...new Set(used)].toSorted());
  });
});
