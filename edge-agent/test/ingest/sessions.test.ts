import { describe, expect, it } from 'vitest';

import { type SessionClient, Sessions } from '../../src/ingest/sessions.ts';
import { limits } from '../../src/limits.ts';

class FakeClient implements SessionClient {
  readonly id: string;
  readonly clean: boolean;
  closed = false;
  isCut = false;
  readonly conn = { destroy: (): boolean => (this.isCut = true) };

  constructor(id: string, clean = false) {
    this.id = id;
    this.clean = clean;
  }
}

class Bench {
  readonly refused: string[] = [];
  readonly sessions = new Sessions((reason, clientId) => this.refused.push(`${reason} ${clientId}`));

  connect(id: string, clean = false): FakeClient {
    const client = new FakeClient(id, clean);
    this.sessions.connected(client);
    return client;
  }

  disconnect(client: FakeClient): void {
    client.closed = true;
    this.sessions.disconnected(client);
  }

  begin(client: FakeClient, count: number): number {
    let begun = 0;
    for (let id = 1; id <= count; id++) begun += Number(this.sessions.begin(client, id));
    return begun;
  }
}

describe('sessions', () => {
  it('outlive connections with filters and unfinished messages, unless they are clean', () => {
    const { sessions, ...bench } = new Bench();
    expect(bench.refused).toEqual([]);
    const both = new Bench();
    for (const clean of [false, true]) {
      const client = both.connect(clean ? 'clean' : 'kept', clean);
      both.sessions.subscribe(client, 'a/#');
      expect(both.sessions.begin(client, 7)).toBe(true);
      both.disconnect(client);
    }
    expect(both.sessions.filtersOf('kept')).toEqual(['a/#']);
    expect(both.sessions.isUnfinished({ id: 'kept' }, 7)).toBe(true);
    expect(both.sessions.isUnfinished({ id: 'clean' }, 7)).toBe(false);
    expect(both.sessions.counts).toEqual({ sessions: 1, filters: 1, unfinished: 1 });
    expect(sessions.counts).toEqual({ sessions: 0, filters: 0, unfinished: 0 });
  });

  it('take no room when nothing is left in them', () => {
    const bench = new Bench();
    const client = bench.connect('one');
    bench.sessions.subscribe(client, 'a');
    bench.sessions.begin(client, 1);
    bench.sessions.unsubscribe(client, ['a', 'never']);
    expect(bench.sessions.finish(client, 1)).toBe(true);
    expect(bench.sessions.finish(client, 1)).toBe(false);
    expect(bench.sessions.counts).toEqual({ sessions: 0, filters: 0, unfinished: 0 });
  });

  it('are bounded in number: the one longest absent goes first, and no connected one', () => {
    const bench = new Bench();
    const stays = bench.connect('stays');
    bench.sessions.subscribe(stays, 'a');
    for (let i = 1; i < limits.sessionsMax + 2; i++) {
      const client = bench.connect(`${i}`);
      bench.sessions.subscribe(client, 'a');
      bench.disconnect(client);
    }
    expect(bench.sessions.counts.sessions).toBe(limits.sessionsMax);
    expect(bench.refused).toEqual(['session-forgotten 1', 'session-forgotten 2']);
    expect(bench.sessions.filtersOf('stays')).toEqual(['a']);
  });

  it('that are used again are absent from then on', () => {
    const bench = new Bench();
    for (let i = 0; i < limits.sessionsMax; i++) {
      const client = bench.connect(`${i}`);
      bench.sessions.subscribe(client, 'a');
      bench.disconnect(client);
    }
    bench.disconnect(bench.connect('0'));
    const more = bench.connect('more');
    bench.sessions.subscribe(more, 'a');
    expect(bench.refused).toEqual(['session-forgotten 1']);
  });

  it('hold no more filters together than there may be, those of absent clients included', () => {
    const bench = new Bench();
    const each = limits.subscriptionsPerClientMax;
    for (let i = 0; i <= limits.subscriptionsMax / each; i++) {
      const client = bench.connect(`${i}`);
      for (let filter = 0; filter < each; filter++) bench.sessions.subscribe(client, `${filter}`);
      bench.disconnect(client);
    }
    expect(bench.sessions.counts.filters).toBe(limits.subscriptionsMax);
    expect(bench.refused).toEqual(['session-forgotten 0']);
  });

  it('may leave only so many messages unfinished each, and a repeat needs no room', () => {
    const bench = new Bench();
    const client = bench.connect('one');
    expect(bench.begin(client, limits.unfinishedPerClientMax + 1)).toBe(limits.unfinishedPerClientMax);
    expect(bench.sessions.begin(client, 1)).toBe(true);
    expect(bench.refused).toEqual(['unfinished one']);
  });

  it('give back what the one with most unfinished messages has, when all together have too many', () => {
    const bench = new Bench();
    const good = bench.connect('good');
    bench.begin(good, 10);
    const greedy = Array.from({ length: limits.unfinishedMax / limits.unfinishedPerClientMax }, (_, i) =>
      bench.connect(`greedy ${i}`),
    );
    for (const client of greedy) bench.begin(client, limits.unfinishedPerClientMax);
    expect(bench.sessions.begin(good, 11)).toBe(true);
    expect(good.isCut).toBe(false);
    expect(greedy.filter(({ isCut }) => isCut)).toHaveLength(1);
    expect(bench.sessions.counts.unfinished).toBeLessThanOrEqual(limits.unfinishedMax);
    expect(bench.refused).toHaveLength(1);
  });

  it('of connections that another took over stay with the newer one', () => {
    const bench = new Bench();
    const before = bench.connect('one');
    bench.sessions.subscribe(before, 'a');
    const after = bench.connect('one');
    bench.disconnect(before);
    bench.begin(after, 2);
    expect(bench.sessions.counts).toEqual({ sessions: 1, filters: 1, unfinished: 2 });
  });
});
