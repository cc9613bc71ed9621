import { epochMs } from '@floorwatch/contracts';
import { describe, expect, it } from 'vitest';

import { RejectLog } from '../../src/ingest/reject-log.ts';

const message = (topic: string, payload: string) => ({
  topic,
  payload: Buffer.from(payload),
  receivedAt: epochMs(1_700_000_000_000),
  retained: false,
});

describe('the log of rejects', () => {
  it('counts every reject by its reason, and shows the last 100, newest first', () => {
    const log = new RejectLog();
    for (let i = 0; i < 250; i++)
      log.add(message(`t/${i}`, `${i}`), i % 2 === 0 ? 'payload-malformed' : 'value-missing');
    expect(log.total).toBe(250);
    expect(log.counts.get('payload-malformed')).toBe(125);
    expect(log.counts.get('value-missing')).toBe(125);
    expect(log.counts.get('payload-empty')).toBe(0);
    expect(log.last().map(({ topic }) => topic)).toEqual(Array.from({ length: 100 }, (_, i) => `t/${249 - i}`));
    expect(log.last()[0]).toMatchObject({ reason: 'value-missing', excerpt: '249', payloadBytes: 3 });
  });

  it.each([99, 100, 101])('shows all or the last 100 of %d', (count) => {
    const log = new RejectLog();
    for (let i = 0; i < count; i++) log.add(message(`${i}`, ''), 'payload-empty');
    expect(log.last()).toHaveLength(Math.min(100, count));
    expect(log.last()[0]?.topic).toBe(`${count - 1}`);
  });

  it('shortens and escapes what came from outside', () => {
    const log = new RejectLog();
    log.add(message('a\u0000b\u202Ec\u001B[31m', `"<b>\n\uFFFF${'x'.repeat(500)}`), 'payload-malformed');
    const [view] = log.last();
    expect(view?.topic).toBe(String.raw`a\u{0}b\u{202e}c\u{1b}[31m`);
    expect(view?.excerpt).toMatch(/^"<b>\\u\{a\}\\u\{ffff\}x+…$/);
    expect(view?.excerpt.length).toBeLessThan(150);
    expect(view?.payloadBytes).toBe(508);
  });

  it('marks as shortened only what was', () => {
    const log = new RejectLog();
    log.add(message('t', 'x'.repeat(120)), 'payload-malformed');
    expect(log.last()[0]?.excerpt).toBe('x'.repeat(120));
    log.add(message('t', 'x'.repeat(121)), 'payload-malformed');
    expect(log.last()[0]?.excerpt).toBe(`${'x'.repeat(120)}…`);
  });
});
