import { describe, expect, test } from 'vitest';

import { parseRoute, sensorHash } from '../../console/src/routes.ts';
import { chooseRange, resolutions } from '../../console/src/sensor-ranges.ts';

describe('addresses', () => {
  test.each(['', '#', '#/', '#/floor'])('%j is the floor', (hash) => {
    expect(parseRoute(hash).view).toBe('floor');
  });

  test('carry their query', () => {
    const route = parseRoute('#/anomalies?open=true&severity=critical');
    expect(route.view === 'anomalies' && route.query.get('severity')).toBe('critical');
  });

  test.each(['plant/gw/press 1/temperature', 'a%b/c?d/e&f/g=h', 'Halle 3/gw/°C 温度/"x"'])(
    'lead to the sensor %s and back',
    (id) => {
      expect(parseRoute(sensorHash(id))).toMatchObject({ view: 'sensor', id });
      expect(parseRoute(sensorHash(id, new URLSearchParams({ size: '1m' })))).toMatchObject({ view: 'sensor', id });
    },
  );

  test.each(['#/nowhere', '#/sensor/a/b/c', '#/sensor/a/b/c/d/e', '#/sensor/%E0%A4%A/b/c/d', '#/floor/x'])(
    '%s leads nowhere, and does not break the page',
    (hash) => {
      expect(parseRoute(hash)).toEqual({ view: 'lost' });
    },
  );
});

describe('resolutions and ranges', () => {
  const offered = resolutions(['1m', '15m', '1h', 'nonsense']);

  test('every resolution has ranges of 20 to 2,200 points', () => {
    expect(offered.map(({ name }) => name)).toEqual(['live', '1m', '15m', '1h']);
    for (const { stepMs, ranges } of offered) {
      expect(ranges.length).toBeGreaterThan(1);
      for (const { ms } of ranges) {
        expect(ms / stepMs).toBeGreaterThanOrEqual(20);
        expect(ms / stepMs).toBeLessThanOrEqual(2_200);
      }
    }
  });

  test('the address chooses, and a wrong one falls back', () => {
    const choose = (text: string) => {
      const { resolution, range } = chooseRange(offered, new URLSearchParams(text));
      return [resolution.name, range.name];
    };
    expect(choose('')).toEqual(['live', '5m']);
    expect(choose('size=1m&range=24h')).toEqual(['1m', '24h']);
    expect(choose('size=1m&range=90d')).toEqual(['1m', '6h']);
    expect(choose('size=7m')).toEqual(['live', '5m']);
  });
});
