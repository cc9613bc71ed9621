import { describe, expect, it } from 'vitest';

import { sparklineBatch } from '../../console/src/sparkline-batch.ts';

describe('sensors of one request for small charts', () => {
  const ids = (count: number, name: string): string[] =>
    Array.from({ length: count }, (_, i) => `${name}/${name}/${name}/${name}${i}`);

  it('are as many as the processor takes', () => {
    expect(sparklineBatch(ids(99, 'a'))).toHaveLength(99);
    expect(sparklineBatch(ids(101, 'a'))).toEqual(ids(100, 'a'));
  });

  it('make an address that proxies take, also with long names of other scripts', () => {
    const batch = sparklineBatch(ids(100, '焊接机器人'));
    expect(batch.length).toBeGreaterThan(20);
    expect(batch.map((id) => `&sensor=${encodeURIComponent(id)}`).join('').length).toBeLessThan(7_500);
  });

  it('are at least one, whatever its length, and none of none', () => {
    const longest = ids(2, '焊'.repeat(120));
    expect(sparklineBatch(longest)).toEqual([longest[0]]);
    expect(sparklineBatch([])).toEqual([]);
  });
});
