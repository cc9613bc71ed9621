import { expect, test } from 'vitest';

import { describeTrouble } from '../../console/src/health-words.ts';

test('only what does not work is told, also parts that this page does not know', () => {
  expect(describeTrouble({ nats: 'ok', store: 'ok' })).toBe('');
  expect(describeTrouble({ nats: 'not connected', store: 'ok', tape: 'torn' })).toBe(
    'The connection to NATS, which brings the readings: not connected. tape: torn.',
  );
});
