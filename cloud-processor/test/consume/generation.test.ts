import { describe, expect, it } from 'vitest';

import { chooseStart, type StreamCursor, type StreamNow } from '../../src/consume/generation.ts';

const remembered: StreamCursor = { created: 'monday', position: 100, digest: 77 };
const same: StreamNow = { created: 'monday', firstSequence: 50, lastSequence: 200, digestAtPosition: 77 };

describe('where reading begins', () => {
  it.each<[string, Partial<StreamCursor>, Partial<StreamNow>, ReturnType<typeof chooseStart>]>([
    ['behind the position', {}, {}, { from: 101, why: 'continue' }],
    ['behind the last message', {}, { lastSequence: 100 }, { from: 101, why: 'continue' }],
    [
      'at the first message when nothing is remembered',
      { created: null, position: 0, digest: null },
      {},
      { from: 50, why: 'first-start' },
    ],
    [
      'at 1 in an empty stream',
      { created: null, position: 0 },
      { firstSequence: 0, lastSequence: 0 },
      { from: 1, why: 'first-start' },
    ],
    ['at the first message of a recreated stream', {}, { created: 'tuesday' }, { from: 50, why: 'recreated' }],
    [
      'at the first message of a recreated, shorter stream',
      {},
      { created: 'tuesday', firstSequence: 1, lastSequence: 3 },
      { from: 1, why: 'recreated' },
    ],
    ['at the first message when the end was lost', {}, { lastSequence: 99 }, { from: 50, why: 'rolled-back' }],
    [
      'at the first message when sequences were used again',
      {},
      { digestAtPosition: 78 },
      { from: 50, why: 'rolled-back' },
    ],
    [
      'behind the position when that message alone is gone',
      {},
      { digestAtPosition: null },
      { from: 101, why: 'continue' },
    ],
    [
      'behind the position when its content is not remembered',
      { digest: null },
      { digestAtPosition: 78 },
      { from: 101, why: 'continue' },
    ],
    [
      'behind the position when just that is the first',
      {},
      { firstSequence: 101, digestAtPosition: null },
      { from: 101, why: 'continue' },
    ],
    [
      'at the first message when later ones were dropped',
      {},
      { firstSequence: 102, digestAtPosition: null },
      { from: 102, why: 'trimmed' },
    ],
    ['behind a purged stream', {}, { firstSequence: 201, digestAtPosition: null }, { from: 201, why: 'trimmed' }],
  ])('is %s', (_what, cursor, now, expected) => {
    expect(chooseStart({ ...remembered, ...cursor }, { ...same, ...now })).toEqual(expected);
  });
});
