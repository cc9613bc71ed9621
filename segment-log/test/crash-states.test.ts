import { describe, expect, it, vi } from 'vitest';

import type * as Format from '../src/format.ts';
import { enumerateCrashStates, enumerateDamage } from './crash-states.ts';

const planted = vi.hoisted(() => ({ acceptsTornFrames: false }));

vi.mock('../src/format.ts', async (importOriginal) => {
  const original = await importOriginal<typeof Format>();
  /** Finds frames by their magic and trusts what their headers say. */
  const unchecked: typeof original.nextFrame = (bytes, offset, seed) => {
    for (let at = original.alignUp(offset, 8); at + 24 <= bytes.length; at += 8) {
      const end = at + 24 + bytes.readUInt32LE(at + 4);
      const isFrame = bytes.readUInt32LE(at) === (0x314d5246 ^ seed) >>> 0 && end <= bytes.length;
      if (isFrame) return { offset: at, end, first: bytes.readUInt32LE(at + 12), items: bytes.readUInt32LE(at + 8) };
    }
    return undefined;
  };
  const nextFrame: typeof original.nextFrame = (...args) =>
    planted.acceptsTornFrames ? unchecked(...args) : original.nextFrame(...args);
  return { ...original, nextFrame };
});

/** Together more than 20,000. */
const CRASH_STATES = 20_000;
const DAMAGED_STATES = 3_000;

describe('every state that a power cut can leave', () => {
  it('holds all that was acknowledged, once, in order, and nothing else', async () => {
    const { states, broken } = await enumerateCrashStates(1, CRASH_STATES);
    expect(broken).toEqual([]);
    expect(states).toBeGreaterThanOrEqual(CRASH_STATES);
  }, 120_000);

  it('of damage to what was safe: what can be read and what is reported make up everything exactly', async () => {
    const { broken } = await enumerateDamage(2, DAMAGED_STATES);
    expect(broken).toEqual([]);
  }, 60_000);
});

describe('the enumeration finds a planted bug', () => {
  it('acknowledged before it was synced', async () => {
    const { broken } = await enumerateCrashStates(3, 2_000, { acknowledgesUnsynced: true });
    expect(broken[0]?.problem).toMatch(/was acknowledged, \d+ is the last/);
  });

  it('what a start found is trusted without being synced', async () => {
    const { broken } = await enumerateCrashStates(7, 5_000, { trustsWhatItFinds: true });
    expect(broken.length).toBeGreaterThan(0);
  });

  it('torn frames are accepted', async () => {
    planted.acceptsTornFrames = true;
    try {
      const { broken } = await enumerateCrashStates(5, 2_000);
      expect(broken.length).toBeGreaterThan(0);
    } finally {
      planted.acceptsTornFrames = false;
    }
  });
});
