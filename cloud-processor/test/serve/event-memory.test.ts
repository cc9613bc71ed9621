import { expect, it } from 'vitest';

import { EventMemory } from '../../src/serve/event-memory.ts';
import { anomalyRow } from './floor-fixture.ts';

const encode = (id: string): Uint8Array => Buffer.from(id);

it('takes no id of another start for one of its own, however many events both have counted', () => {
  const [before, after] = [new EventMemory(1_000), new EventMemory(1_000)];
  for (const memory of [before, after]) for (let i = 0; i < 3; i++) memory.add(anomalyRow(i), encode);
  expect(after.resume(after.newestId)).toEqual({ kind: 'resumed', missed: [] });
  expect(after.resume(before.newestId)).toEqual({ kind: 'reset', reason: 'restarted' });
});
