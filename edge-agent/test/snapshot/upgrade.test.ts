import { type AnomalyRecord, epochMs, ROLLUP_MS } from '@floorwatch/contracts';
import { describe, expect, it } from 'vitest';

import { upgradedEpisodes } from '../../src/score/episode-sections.ts';
import { engineConfigSchema } from '../../src/sensor-engine-config.ts';
import { type EngineOutput, type EpisodeEvent, SensorEngine } from '../../src/sensor-engine.ts';
import { ReplayedRollups } from '../../src/snapshot/replayed-rollups.ts';
import { StateError, type StateSection } from '../../src/state-section.ts';
import { configs, engineOf, faultStream, gateway, run } from './fault-stream.ts';

const items = faultStream(3, 4_000);
const CUT = 2_500;
const readings = items.filter(({ kind }) => kind === 'reading').length;

const rollupsOf = (outputs: readonly EngineOutput[]) =>
  outputs.flatMap((output) =>
    output.kind === 'rollups'
      ? output.rollups.map(({ sensor, start, aggregate }) => ({ ...output.sensors[sensor]!, start, aggregate }))
      : [],
  );
const countOf = (outputs: readonly EngineOutput[]): number =>
  rollupsOf(outputs).reduce((sum, { aggregate }) => sum + aggregate.n, 0);
const episodesOf = (outputs: readonly EngineOutput[]): EpisodeEvent[] =>
  outputs.flatMap((output) => (output.kind === 'episode' ? [output.episode] : []));

function collected() {
  const outputs: EngineOutput[] = [];
  return { outputs, emit: (output: EngineOutput): void => void outputs.push(output) };
}

/** The last record of every episode that is open after these. */
function openAfter(outputs: readonly EngineOutput[]): Map<string, EpisodeEvent> {
  const open = new Map<string, EpisodeEvent>();
  for (const episode of episodesOf(outputs)) {
    if (episode.phase === 'closed') open.delete(episode.id);
    else open.set(episode.id, episode);
  }
  return open;
}

/** A snapshot in the middle of the stream, and what had gone out until then. */
function halfWay(config = 'rules') {
  const engine = engineOf(config);
  const outputs = run(engine, items.slice(0, CUT));
  return { outputs, sections: engine.snapshot() };
}

const changed = (sections: readonly StateSection[], name: string, change: Partial<StateSection>): StateSection[] =>
  sections.map((section) => (section.name === name ? { ...section, ...change } : section));

describe('an engine with another configuration', () => {
  it('closes what was open with its last record, once', () => {
    const { outputs, sections } = halfWay();
    const open = openAfter(outputs);
    expect(open.size).toBeGreaterThan(2);
    const closed = upgradedEpisodes(sections);
    expect(new Set(closed.map(({ id }) => id))).toEqual(new Set(open.keys()));
    for (const { phase, closeReason, readings: counted, worst, ...episode } of closed) {
      const last: Partial<AnomalyRecord> = open.get(episode.id)!;
      expect({ phase, closeReason }).toEqual({ phase: 'closed', closeReason: 'upgraded' });
      expect(counted).toBeGreaterThanOrEqual(last.readings!);
      expect(worst.score).toBeGreaterThanOrEqual(last.worst!.score);
      const { phase: _, readings: __, worst: ___, ...told } = last;
      expect(episode).toEqual(told);
    }
  });

  it('goes on without the episodes that were closed, and counts every reading once', () => {
    const { outputs, sections } = halfWay();
    const before = openAfter(outputs);
    const engine = engineOf('shipped');
    const { leftOut, rollups } = engine.restore(sections, 'closed');
    expect(rollups).toEqual([]);
    // What is learned with the same meaning is kept: only the statistic whose window has another size, and what is new or gone, is not.
    expect(leftOut.map(({ section }) => section).sort()).toEqual([
      'detector:limit',
      'detector:range',
      'detector:rate',
      'detector:statistics-count',
      'detector:z-score',
    ]);
    const after = collected();
    after.outputs.push(...run(engine, items.slice(CUT)));
    engine.close(after);
    for (const { id } of episodesOf(after.outputs)) expect(before.has(id)).toBe(false);
    expect(countOf(outputs) + countOf(after.outputs)).toBe(readings);
    expect(openAfter(after.outputs).size).toBe(0);
  });

  it('lets out rollups of another width as they are', () => {
    const { outputs, sections } = halfWay();
    const engine = engineOf('shipped');
    const wider = changed(sections, 'rollups', { values: { bucketMs: 6 * ROLLUP_MS } });
    const report = engine.restore(wider, 'closed');
    expect(countOf(report.rollups)).toBeGreaterThan(6);
    expect(rollupsOf(report.rollups).every(({ device, metric }) => device !== '' && metric !== '')).toBe(true);
    const after = collected();
    after.outputs.push(...run(engine, items.slice(CUT)));
    engine.close(after);
    expect(countOf(outputs) + countOf(report.rollups) + countOf(after.outputs)).toBe(readings);
  });

  it.each([
    { what: 'lets them out later', watermark: { outOfOrderMs: 25_000 } },
    { what: 'lets them out earlier', watermark: { outOfOrderMs: 0 } },
  ])('does not count again what has gone out behind the snapshot, and $what', ({ watermark }) => {
    const { outputs, sections } = halfWay();
    // The engine before takes more, and is replaced when all that it made of that is safe.
    const before = engineOf('rules');
    before.restore(sections);
    const engine = new SensorEngine(engineConfigSchema.parse({ ...configs['shipped'], watermark }), gateway);
    engine.restore(sections, 'closed');
    const replayed = new ReplayedRollups(engine);
    const END = CUT + 400;
    let counted = 0;
    for (const item of items.slice(CUT, END)) {
      const told = rollupsOf(run(before, [item]));
      if (item.kind === 'reading') engine.accept(item.reading, replayed);
      else engine.advance(item.clock, replayed);
      for (const { start, aggregate, ...sensor } of told) {
        counted += aggregate.n;
        replayed.told(sensor, start);
      }
    }
    expect(counted).toBeGreaterThan(100);
    const held = replayed.take();
    expect(replayed.take()).toEqual([]);
    const after = collected();
    engine.closeEpisodes('upgraded', { emit: () => {} });
    after.outputs.push(...run(engine, items.slice(END)));
    engine.close(after);
    expect(countOf(outputs) + counted + countOf(held) + countOf(after.outputs)).toBe(readings);
    expect(engine.discardRollup('press-0', 'unheard-of', epochMs(0))).toBe(false);
  });

  it('has other rules or another configuration than the one before, or goes on with the same', () => {
    expect(engineOf('rules').outputRules).not.toBe(engineOf('shipped').outputRules);
    expect(engineOf('shipped').outputRules).toBe(engineOf('shipped').outputRules);
  });

  it('forgets what was learned of a sensor that is not judged for a while', () => {
    const off = new SensorEngine(
      engineConfigSchema.parse({ ...configs['shipped'], noise: { rules: [{ metric: 'm0', enabled: false }] } }),
      gateway,
    );
    off.restore(halfWay('shipped').sections);
    const noise = off.snapshot().find(({ name }) => name === 'detector:noise')!.arrays['rows'] as Float64Array;
    const fields = noise.length / 6;
    const metrics = [...off.sensors()].map(({ metric }) => metric);
    for (const [slot, metric] of metrics.entries()) {
      const row = noise.subarray(slot * fields, (slot + 1) * fields);
      expect(row.every((number) => number === 0)).toBe(metric === 'm0');
    }
  });
});

describe('a snapshot that can not be taken up', () => {
  const { sections } = halfWay('shipped');
  // Those of detectors that learn nothing hold only what they made of the newest readings.
  const learned = sections.filter(
    ({ name, arrays }) => name.startsWith('detector:') && Object.keys(arrays).some((array) => array !== 'judgements'),
  );
  const lasting = sections.filter(({ name }) => !name.startsWith('detector:'));
  /** Earlier releases did not write it. */
  const later = new Set(['accepted-counts']);

  it.each(lasting.map(({ name }) => name).filter((name) => !later.has(name)))('says that %s is missing', (name) => {
    const without = sections.filter((section) => section.name !== name);
    expect(() => engineOf('shipped').restore(without)).toThrow(StateError);
  });

  it.each(lasting.map(({ name }) => name))('says that %s is of a newer release', (name) => {
    expect(() => engineOf('shipped').restore(changed(sections, name, { version: 2 }))).toThrow(/start the newer one/);
  });

  it.each(learned.map(({ name }) => name))('leaves out %s if it is not there, of another version or shape', (name) => {
    const without = sections.filter((section) => section.name !== name);
    const whole = engineOf('shipped');
    whole.restore(sections);
    for (const spoilt of [
      without,
      changed(sections, name, { version: 99 }),
      changed(sections, name, { values: { basis: { readings: 3 } } }),
      changed(sections, name, { arrays: {} }),
      changed(sections, name, { arrays: { rows: new Float64Array(3), judgements: new Uint8Array(5) } }),
    ]) {
      const engine = engineOf('shipped');
      expect(engine.restore(spoilt).leftOut).toEqual([{ section: name, why: expect.stringMatching(/./) }]);
      // And there is something in it: without it, the engine does not know the same.
      expect([engine.snapshot(), [...engine.sensors()]]).not.toEqual([whole.snapshot(), [...whole.sensors()]]);
    }
  });

  it('names a detector that is not there any more', () => {
    const engine = new SensorEngine(engineConfigSchema.parse({ stuck: { enabled: false } }), gateway);
    expect(engine.restore(sections, 'closed').leftOut).toEqual([
      { section: 'detector:stuck', why: 'there is no such detector now' },
    ]);
  });
});
