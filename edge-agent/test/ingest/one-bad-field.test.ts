import { epochMs } from '@floorwatch/contracts';
import { describe, expect, it } from 'vitest';

import { Intake } from '../../src/ingest/intake.ts';
import { parseLeniently } from '../../src/ingest/lenient-json.ts';
import type { Codec } from '../../src/ingest/payload-codec.ts';
import { limits } from '../../src/limits.ts';

const NOW = Date.UTC(2026, 0, 31, 12);
const PER_DEVICE = 'sensors/{device}';
const PER_METRIC = 'sensors/{device}/{metric}';

interface Outcome {
  readonly accepted: number;
  readonly rejects: Readonly<Record<string, number>>;
  readonly values: readonly number[];
}

/** What becomes of messages at the intake, by topic. */
function outcomeOf(
  template: string,
  codec: Codec,
  messages: readonly (readonly [topic: string, payload: string | Uint8Array])[],
): Outcome {
  const intake = new Intake(
    {
      topics: [{ topic: template, codec }],
      sensorsMax: 100,
      readings: { futureMsMax: 600_000, duplicatesRemembered: 16, perMessageMax: 100 },
      units: { rules: [], aliases: [] },
      valueAbsMax: 1e150,
    },
    { claim: () => false },
  );
  const raw = messages.map(([topic, payload]) => ({
    topic,
    payload: typeof payload === 'string' ? new TextEncoder().encode(payload) : payload,
    receivedAt: epochMs(NOW),
    retained: false,
  }));
  const taken = intake.take(raw, { now: epochMs(NOW), quality: 'synchronised' });
  intake.settled(taken, true);
  const { received, accepted, rejected, rejectedByReason } = intake.counts;
  expect(received).toBe(accepted + rejected);
  return {
    accepted,
    rejects: Object.fromEntries(Object.entries(rejectedByReason).filter(([, count]) => count > 0)),
    values: taken.readings.map(({ reading }) => reading.value),
  };
}

const hex = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'hex'));

describe('what devices really sent', () => {
  it('a sensor that has failed costs its own metric (esphome/esphome-core#272, home-assistant/core#48225)', () => {
    const messages = [
      ['sensors/a', '{"temperature": NaN, "humidity": 45.5, "pressure": 1013}'],
      ['sensors/b', '{"temperature": nan, "humidity": 46.5}'],
    ] as const;
    const rejects = { 'value-not-finite': 2 };
    expect(outcomeOf(PER_DEVICE, 'metrics', messages)).toEqual({ accepted: 3, rejects, values: [45.5, 1013, 46.5] });
  });

  it('and its own element of a list', () => {
    const text = `[{"value":1,"ts":${NOW}},{"value":NaN,"ts":${NOW}}]`;
    const rejects = { 'value-not-finite': 1 };
    expect(outcomeOf(PER_METRIC, 'auto', [['sensors/a/x', text]])).toEqual({ accepted: 1, rejects, values: [1] });
  });

  it('the zero that ends a text in C is none of it (monstrenyatko/ArduinoMqtt#16, eclipse-mosquitto/mosquitto#130)', () => {
    const messages = [
      ['sensors/a/x', hex('32312e3500')],
      ['sensors/a/y', hex('7b2276616c7565223a32322e357d00')],
      ['sensors/a/z', '23.5\n\0\0'],
    ] as const;
    expect(outcomeOf(PER_METRIC, 'auto', messages)).toEqual({ accepted: 3, rejects: {}, values: [21.5, 22.5, 23.5] });
    expect(outcomeOf(PER_METRIC, 'auto', [['sensors/a/x', '\0\0']]).rejects).toEqual({ 'payload-empty': 1 });
    // What comes behind it is what the buffer had before.
    expect(outcomeOf(PER_METRIC, 'auto', [['sensors/a/x', '21.5\x007']]).rejects).toEqual({ 'payload-malformed': 1 });
  });

  it('a byte-order mark is none of the text (.NET writers)', () => {
    const messages = [
      ['sensors/a/x', hex('efbbbf7b2276616c7565223a32322e357d')],
      ['sensors/a/y', hex('efbbbf32312e35')],
    ] as const;
    expect(outcomeOf(PER_METRIC, 'auto', messages)).toEqual({ accepted: 2, rejects: {}, values: [22.5, 21.5] });
  });

  it('quality comes in other words (OPC UA, SiteWise, Siemens)', () => {
    const messages = [
      ['sensors/a/b', '{"value":5,"quality":"GOOD"}'],
      ['sensors/a/c', '{"value":6,"quality":192}'],
      ['sensors/a/d', '{"value":7,"quality":"Good"}'],
    ] as const;
    expect(outcomeOf(PER_METRIC, 'auto', messages)).toEqual({ accepted: 3, rejects: {}, values: [5, 6, 7] });
  });
});

describe('one bad field', () => {
  it.each([
    ['NaN', 'value-not-finite'],
    ['-nan', 'value-not-finite'],
    ['-nan(ind)', 'value-not-finite'],
    ['1.#QNAN', 'value-not-finite'],
    ['-1.#IND', 'value-not-finite'],
    ['Infinity', 'value-not-finite'],
    ['-Infinity', 'value-not-finite'],
    ['+inf', 'value-not-finite'],
    ['1e999', 'value-not-finite'],
    ['-1e999', 'value-not-finite'],
    ['1e200', 'value-too-large'],
    ['None', 'value-not-a-number'],
    ['0x1F', 'value-not-a-number'],
    ['007', 'value-not-a-number'],
    ['"x"', 'value-not-a-number'],
    ['"a\tb"', 'value-not-a-number'],
    ['"\\"NaN\\""', 'value-not-a-number'],
    ['{}', 'value-missing'],
  ])('%s costs its own reading in objects, lists and series: %s', (bad, reason) => {
    const want = { accepted: 2, rejects: { [reason]: 1 }, values: [1, 2] };
    expect(outcomeOf(PER_DEVICE, 'metrics', [['sensors/a', `{"a":1,"bad":${bad},"b":2}`]])).toEqual(want);
    const list = `[{"value":1,"ts":${NOW}},{"value":${bad},"ts":${NOW}},{"value":2,"ts":${NOW}}]`;
    const asValue = bad === '{}' ? { ...want, rejects: { 'value-not-a-number': 1 } } : want;
    expect(outcomeOf(PER_METRIC, 'batch', [['sensors/a/x', list]])).toEqual(asValue);
    const series = `{"t0":${NOW},"dtMs":1,"values":[1,${bad},2]}`;
    expect(outcomeOf(PER_METRIC, 'series', [['sensors/a/x', series]])).toEqual(asValue);
  });

  it('is refused for itself however many there are, and whatever they are next to', () => {
    const text = '{"a":NaN,"b":"NaN","c":-inf,"d": None ,"e":4,"ts":' + NOW + '}';
    const rejects = { 'value-not-finite': 2, 'value-not-a-number': 2 };
    expect(outcomeOf(PER_DEVICE, 'metrics', [['sensors/a', text]])).toEqual({ accepted: 1, rejects, values: [4] });
    // It is no reading that is lost.
    const extra = '{"value":5,"rssi":NaN,"tags":[nan]}';
    expect(outcomeOf(PER_METRIC, 'auto', [['sensors/a/x', extra]])).toMatchObject({ accepted: 1, rejects: {} });
  });

  it('that is no UTF-8 costs what it belongs to', () => {
    const latin1 = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'latin1'));
    const text = latin1('{"t":{"value":21,"unit":"°C"},"größe":1,"gröfe":2,"h":45}');
    const rejects = { 'unit-invalid': 1, 'name-invalid': 2 };
    expect(outcomeOf(PER_DEVICE, 'metrics', [['sensors/a', text]])).toEqual({ accepted: 1, rejects, values: [45] });
    expect(outcomeOf(PER_METRIC, 'auto', [['sensors/a/x', latin1('21 °C')]]).rejects).toEqual({
      'payload-malformed': 1,
    });
  });

  it('quality in an unknown word, or a sequence number that is none, costs itself: the reading is uncertain, and counts', () => {
    const odd = { 'quality-unknown': 1, 'seq-invalid': 1 };
    const object = '{"value":5,"quality":"so-so","seq":-1}';
    expect(outcomeOf(PER_METRIC, 'auto', [['sensors/a/x', object]])).toEqual({
      accepted: 1,
      rejects: odd,
      values: [5],
    });
    // Said once of what holds for all of them.
    const common = { accepted: 2, rejects: odd, values: [1, 2] };
    const metrics = '{"quality":0,"seq":1.5,"a":1,"b":2}';
    expect(outcomeOf(PER_DEVICE, 'metrics', [['sensors/a', metrics]])).toEqual(common);
    const series = `{"t0":${NOW},"dtMs":1,"values":[1,2],"quality":"so-so","seq":NaN}`;
    expect(outcomeOf(PER_METRIC, 'series', [['sensors/a/x', series]])).toEqual(common);
    const list = `[{"value":1,"ts":${NOW},"quality":"so-so"},{"value":2,"ts":${NOW},"seq":"7"}]`;
    expect(outcomeOf(PER_METRIC, 'batch', [['sensors/a/x', list]])).toEqual(common);
  });

  it('makes no other language of JSON', () => {
    const texts = [
      '{value:1}',
      '{"value":1,}',
      "{'value':1}",
      '{"value":1',
      '{"value":21,5}',
      '{"value":NaN',
      '{NaN:1}',
    ];
    for (const text of texts) {
      expect(outcomeOf(PER_METRIC, 'json', [['sensors/a/x', text]]).rejects, text).toEqual({ 'payload-malformed': 1 });
    }
  });

  it('is found in one pass, whatever the payload', () => {
    const parts = ['"', '\\"', '\\', ' ', 'a ', 'NaN,', '[', '"a', ':', 'a\t'];
    const costOf = (text: string): number => {
      const before = process.cpuUsage();
      for (let run = 0; run < 5; run += 1) parseLeniently(text);
      const { user, system } = process.cpuUsage(before);
      return (user + system) / 5_000;
    };
    for (const part of parts) {
      const text = '"x' + part.repeat(limits.payloadBytesMax / part.length);
      // A pass costs some milliseconds; one that looks back at all that it has seen costs seconds.
      expect(costOf(text), part).toBeLessThan(200);
    }
  });

  it('the time under another name is the time, and no sensor that only counts up (Koenkk/zigbee2mqtt#9707)', () => {
    const rejects = { 'time-renamed': 1 };
    const named = (field: string): Outcome => outcomeOf(PER_DEVICE, 'metrics', [['sensors/a', `{"x":20.5,${field}}`]]);
    for (const field of ['last_seen', 'lastSeen', 'timestamp', 'Time']) {
      expect(named(`"${field}":${NOW}`)).toEqual({ accepted: 1, rejects, values: [20.5] });
    }
    expect(named('"timestamp":"2026-01-31T11:59:00Z"')).toMatchObject({ accepted: 1, rejects });
    // Where the time has its name, or the field is no time, it is a metric as any.
    expect(named(`"ts":${NOW},"time":5`)).toEqual({ accepted: 2, rejects: {}, values: [20.5, 5] });
    expect(named('"time":5')).toEqual({ accepted: 2, rejects: {}, values: [20.5, 5] });
  });
});
