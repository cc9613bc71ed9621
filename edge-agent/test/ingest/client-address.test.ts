import { describe, expect, it } from 'vitest';

import { addressOf } from '../../src/ingest/client-address.ts';

describe('the address that stands for a machine', () => {
  it.each([
    ['10.0.0.7', '10.0.0.7'],
    ['::ffff:10.0.0.7', '10.0.0.7'],
    ['::1', '::1'],
    ['::2', '0:0:0:0::/64'],
    ['2001:db8::1', '2001:db8:0:0::/64'],
    ['2001:db8:0:0:1:2:3:4', '2001:db8:0:0::/64'],
    ['2001:DB8:1:2:ffff:ffff:ffff:fffe', '2001:db8:1:2::/64'],
    ['fe80::1:2%eth0', 'fe80:0:0:0::/64'],
    ['2001:db8:1::', '2001:db8:1:0::/64'],
    [undefined, 'unknown'],
  ])('of %s is %s', (remoteAddress, expected) => {
    expect(addressOf({ remoteAddress })).toBe(expected);
  });
});
