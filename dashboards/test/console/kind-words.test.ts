import { readFileSync } from 'node:fs';
import path from 'node:path';

import { expect, it } from 'vitest';

import { repositoryRoot } from '../../../tests/support/index.ts';
import { formatKind, kindWords } from '../../console/src/kind-words.ts';

it('every kind that has a page in docs/kinds has a name, a meaning and its causes on the page', () => {
  const index = readFileSync(path.join(repositoryRoot, 'docs/kinds/README.md'), 'utf8');
  const kinds = [...index.matchAll(/^\| \[.*$/gm)].flatMap(([row]) =>
    [...row.matchAll(/`([a-z-]+)`/g)].map(([, kind = '']) => kind),
  );
  expect(kinds.length).toBeGreaterThan(15);
  for (const kind of kinds) {
    const words = kindWords(kind);
    expect(words?.title, kind).toMatch(/^[A-Z]/);
    expect(words?.meaning, kind).toMatch(/^[A-Z].*\.$/);
    expect(words?.causes, kind).toMatch(/^[a-z].*[^.]$/);
  }
});

it('a kind of a newer release has its own term', () => {
  expect(formatKind('new-for-hour')).toBe('Unusual at this hour');
  expect(formatKind('quantum-leap')).toBe('Quantum leap');
  expect(kindWords('quantum-leap')).toBeUndefined();
});
