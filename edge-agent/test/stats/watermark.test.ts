import { epochMs } from '@floorwatch/contracts';
import { describe, expect, it } from 'vitest';

import { Watermark } from '../../src/stats/watermark.ts';

const config = { outOfOrderMs: 10_000, idleMs: 60_000 };
const NOON = 1_700_000_000_000;
const HOUR = 3_600_000;
const tick = (now: number, { synchronised = true, sinceStartMs = HOUR } = {}) => ({
  now: epochMs(now),
  synchronised,
  sinceStartMs,
});

/** A watermark that heard one reading of `at` and the clock at NOON. */
function heard(at: number): Watermark {
  const watermark = new Watermark(config);
  watermark.observe(epochMs(at));
  watermark.tick(tick(NOON));
  return watermark;
}

describe('watermark', () => {
  it('is unknown before the first tick of the clock', () => {
    const watermark = new Watermark(config);
    watermark.observe(epochMs(NOON));
    expect(watermark.value()).toBeUndefined();
  });

  it('is unknown before the first reading', () => {
    const watermark = new Watermark(config);
    watermark.tick(tick(NOON));
    expect(watermark.value()).toBeUndefined();
  });

  it.each([
    ['stays the bound behind readings that are older than the clock', NOON - 1, NOON - 1 - 10_000],
    ['stays the bound behind a reading of this moment', NOON, NOON - 10_000],
    ['stays the bound behind the clock when a reading comes from the future', NOON + 1, NOON - 10_000],
    ['follows the readings of an old recording', 1_000_000, 990_000],
  ])('%s', (_name, at, expected) => {
    expect(heard(at).value()).toBe(expected);
  });

  it('never goes back, neither with older readings nor with a clock that is set back', () => {
    const watermark = heard(NOON);
    watermark.observe(epochMs(NOON - HOUR));
    watermark.tick(tick(NOON - HOUR));
    expect(watermark.value()).toBe(NOON - 10_000);
  });

  it('catches up with a reading from the future when the clock gets there', () => {
    const watermark = heard(NOON + 5_000);
    watermark.tick(tick(NOON + 5_000));
    expect(watermark.value()).toBe(NOON - 5_000);
  });

  it.each([
    ['just before the idle time is over, it stays', 59_999, NOON - HOUR - 10_000],
    ['exactly then, it follows the clock', 60_000, NOON + 60_000 - 10_000],
    ['later, it goes on following', 60_001, NOON + 60_001 - 10_000],
  ])('%s', (_name, later, expected) => {
    const watermark = heard(NOON - HOUR);
    watermark.tick(tick(NOON + later));
    expect(watermark.value()).toBe(expected);
  });

  it('waits for the idle time again after another reading', () => {
    const watermark = heard(NOON - HOUR);
    watermark.tick(tick(NOON + 30_000));
    watermark.observe(epochMs(NOON - HOUR + 1));
    watermark.tick(tick(NOON + 59_000));
    watermark.tick(tick(NOON + 118_999));
    expect(watermark.value()).toBe(NOON - HOUR + 1 - 10_000);
    watermark.tick(tick(NOON + 119_000));
    expect(watermark.value()).toBe(NOON + 119_000 - 10_000);
  });

  it('does not follow a clock that is known to be wrong', () => {
    const watermark = heard(NOON - HOUR);
    watermark.tick(tick(NOON + HOUR, { synchronised: false }));
    expect(watermark.value()).toBe(NOON - HOUR - 10_000);
  });

  it.each([
    ['in the first minute after a start it does not follow the clock', 59_999, undefined],
    ['one minute after the start it does, even if no reading ever came', 60_000, NOON + 60_000 - 10_000],
  ])('%s', (_name, sinceStartMs, expected) => {
    const watermark = new Watermark(config);
    watermark.tick(tick(NOON, { sinceStartMs: 0 }));
    watermark.tick(tick(NOON + 60_000, { sinceStartMs }));
    expect(watermark.value()).toBe(expected);
  });

  it('counts the idle time afresh when the clock is set back', () => {
    const watermark = heard(NOON - HOUR * 2);
    watermark.tick(tick(NOON - HOUR));
    watermark.tick(tick(NOON - HOUR + 59_999));
    expect(watermark.value()).toBe(NOON - HOUR * 2 - 10_000);
    watermark.tick(tick(NOON - HOUR + 60_000));
    expect(watermark.value()).toBe(NOON - HOUR + 50_000);
  });
});
