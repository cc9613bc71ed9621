import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import {
  INGEST_STREAM,
  ingestSubject,
  isName,
  LANES,
  limits,
  parseIngestSubject,
  parseSensorId,
  partitionFilter,
  partitionOf,
  sensorId,
} from '../src/index.ts';

const name = fc
  .oneof(
    fc.string({ unit: 'grapheme', minLength: 1, maxLength: 40 }),
    fc.constantFrom('a.b', 'a b', '*', '>', 'hall=1', '50 %', 'Öfen', '🏭', '~'),
  )
  .filter(isName);

describe('names', () => {
  it.each(['temperature', 'Ofen 3', 'a.b,c=d', '"quoted"', '\\', '温度', '🏭', 'x'.repeat(limits.nameLengthMax)])(
    '%j is a name',
    (text) => {
      expect(isName(text)).toBe(true);
    },
  );

  it.each(['', ' a', 'a ', 'a/b', 'a+', '#', 'a\nb', 'a\u0000', '\ud800', 'x'.repeat(limits.nameLengthMax + 1)])(
    '%j is not a name',
    (text) => {
      expect(isName(text)).toBe(false);
    },
  );

  it('a sensor id gives its four names back', () => {
    fc.assert(
      fc.property(name, name, name, name, (site, gateway, device, metric) => {
        const ref = { site, gateway, device, metric };
        expect(parseSensorId(sensorId(ref))).toEqual(ref);
      }),
    );
  });

  it.each(['a/b/c', 'a/b/c/d/e', '', 'a//c/d', 'a/b/c/ d'])('%j is not a sensor id', (id) => {
    expect(parseSensorId(id)).toBeUndefined();
  });
});

describe('ingest subjects', () => {
  it('every address comes back from its subject, and no name adds a token or a wildcard', () => {
    fc.assert(
      fc.property(name, name, fc.constantFrom(...LANES), (site, gateway, lane) => {
        const subject = ingestSubject({ site, gateway, lane });
        expect(subject).toMatch(/^ingest\.v1\.\d+\.[\w%-]+\.[\w%-]+\.(anomaly|telemetry)$/);
        expect(parseIngestSubject(subject)).toEqual({ site, gateway, lane, partition: partitionOf({ site, gateway }) });
      }),
    );
  });

  it('the partition of a gateway never changes', () => {
    expect(partitionOf({ site: 'Leipzig', gateway: 'gateway-1' })).toBe(4);
    expect(partitionOf({ site: '工場', gateway: '1' })).toBe(7);
  });

  it('the filter of a partition matches no more than the subjects of the stream, as nats-server 2.9 demands', () => {
    expect(INGEST_STREAM.subjects).toEqual([partitionFilter(3).replace('.3.', '.*.')]);
  });

  it('spreads gateways over all partitions', () => {
    const used = new Set(Array.from({ length: 400 }, (_, i) => partitionOf({ site: 'site', gateway: `gateway-${i}` })));
    expect(used.size).toBe(limits.partitions);
  });

  it.each([
    'ingest.v1.3.a.b',
    'ingest.v2.3.a.b.anomaly',
    'ingest.v1.99.a.b.anomaly',
    'ingest.v1.3.a%2.b.anomaly',
    'ingest.v1.3.a.b.other',
    'other',
    '',
  ])('%j is not an ingest subject', (subject) => {
    expect(parseIngestSubject(subject)).toBeUndefined();
  });
});
