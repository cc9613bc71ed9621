import { describe, expect, it } from 'vitest';

import { hashMessage } from '../../src/ingest/reading-key.ts';
import { limits } from '../../src/limits.ts';
import { Connection, NOW, RepeatJudge } from './repeating-devices.ts';

/** A value with a time in whole seconds, as many devices send it. */
const timed = { value: 21.5, ts: NOW };

describe('on one connection', () => {
  it.each([
    ['equal values at whole seconds', timed],
    ['equal bare numbers', 21.5],
    ['equal sequence numbers', { value: 21.5, seq: 7 }],
  ])('five messages without DUP are five: %s', (_what, payload) => {
    const judge = new RepeatJudge();
    const [known, unknown] = [new Connection('press'), new Connection('oven')];
    // Of a client that had another connection before, and of one that did not.
    judge.accept(known.message(1, 1, { topic: 'sensors/a/c' }));
    const again = new Connection('press');
    for (const connection of [again, unknown]) {
      for (let id = 1; id <= 5; id++) {
        judge.accept(connection.message(id, payload, { topic: `sensors/${connection.clientId}/b` }));
      }
    }
    expect(judge.values).toHaveLength(11);
    expect(judge.intake.counts.duplicates).toBe(0);
  });

  it.each([
    ['with DUP, the same identifier and payload', 4, 21.5, true],
    ['with DUP and another identifier', 5, 21.5, false],
    ['with DUP and another payload', 4, 21.25, false],
  ])('a message %s', (_what, packetId, payload, isRepeat) => {
    const judge = new RepeatJudge();
    const connection = new Connection('press');
    judge.accept(connection.message(3, 21.5), connection.message(4, 21.5));
    judge.accept(connection.message(packetId, payload, { isDup: true }));
    expect(judge.values).toHaveLength(isRepeat ? 2 : 3);
  });

  it('a message of QoS 0 is new', () => {
    const judge = new RepeatJudge();
    const connection = new Connection('press');
    for (let i = 0; i < 3; i++) judge.accept(connection.message(0, timed));
    expect(judge.values).toHaveLength(3);
  });
});

describe('over connections of one client', () => {
  it('knows by DUP what the last one sent, of any kind, each until its identifier is used again', () => {
    const judge = new RepeatJudge();
    const first = new Connection('press');
    judge.accept(first.message(1, 21.5), first.message(2, 21.5), first.message(3, 21.5));
    first.cut();
    const second = new Connection('press');
    judge.accept(second.message(2, 21.5, { isDup: true }), second.message(3, 21.5, { isDup: true }));
    // The first of it was lost on the way, and its identifier is one that was free again.
    judge.accept(second.message(2, 21.25), second.message(2, 21.5, { isDup: true }));
    expect(judge.values).toEqual([21.5, 21.5, 21.5, 21.25, 21.5]);
  });

  it('takes what comes without DUP for new, once its client has said DUP', () => {
    const judge = new RepeatJudge();
    const first = new Connection('press');
    judge.accept(first.message(1, timed), first.message(1, timed, { isDup: true }));
    judge.take([first.message(2, 22)]);
    first.cut();
    judge.commit();
    const second = new Connection('press');
    judge.accept(second.message(2, 22, { isDup: true }), second.message(3, timed), second.message(4, 22));
    expect(judge.values).toEqual([21.5, 22, 21.5, 22]);
    second.cut();
    judge.kill();
    const third = new Connection('press');
    judge.accept(third.message(5, timed));
    expect(judge.values).toHaveLength(5);
  });

  it('knows what was repeated on a connection that broke again, whether or not new messages came by it', () => {
    const judge = new RepeatJudge();
    const sent = Array.from({ length: 20 }, (_, i) => i + 1);
    const first = new Connection('press');
    judge.accept(...sent.map((id) => first.message(id, 21.5)));
    first.cut();
    for (const repeated of [5, 20, 0, 7]) {
      const next = new Connection('press');
      judge.accept(...sent.slice(0, repeated).map((id) => next.message(id, 21.5, { isDup: true })));
      if (repeated === 20) judge.accept(next.message(21, 21.5));
      next.cut();
    }
    const last = new Connection('press');
    judge.accept(...[...sent, 21].map((id) => last.message(id, 21.5, { isDup: true })));
    expect(judge.values).toHaveLength(21);
  });

  it('takes what comes first without DUP for what was not answered, each once', () => {
    const judge = new RepeatJudge();
    const first = new Connection('press');
    judge.accept(first.message(1, 21.5), first.message(2, 21.5));
    judge.take([first.message(3, 21.5), first.message(4, 22)]);
    first.cut();
    judge.commit();
    const second = new Connection('press');
    // Under other identifiers, as a program does that sends again by itself.
    judge.accept(second.message(1, 21.5), second.message(2, 22), second.message(3, 21.5));
    expect(judge.values).toEqual([21.5, 21.5, 21.5, 22, 21.5]);
  });

  it('takes what was repeated and answered for answered', () => {
    const judge = new RepeatJudge();
    const first = new Connection('press');
    judge.take([first.message(1, 21.5)]);
    first.cut();
    judge.commit();
    const second = new Connection('press');
    judge.accept(second.message(1, 21.5));
    second.cut();
    judge.accept(new Connection('press').message(1, 21.5));
    expect(judge.values).toHaveLength(2);
  });

  it('knows what was sent again under the identifier of another message by that identifier', () => {
    const judge = new RepeatJudge();
    const first = new Connection('press');
    judge.take([first.message(1, 21.5), first.message(2, 22)]);
    first.cut();
    judge.commit();
    const second = new Connection('press');
    judge.accept(second.message(2, 21.5), second.message(2, 21.5, { isDup: true }));
    expect(judge.values).toEqual([21.5, 22]);
  });

  it('takes for it only as many messages as were not answered, and as many again', () => {
    const judge = new RepeatJudge();
    const first = new Connection('press');
    judge.take([first.message(1, 21.5)]);
    first.cut();
    judge.commit();
    // A device that gives up what was not answered.
    const second = new Connection('press');
    judge.accept(second.message(2, 22), second.message(3, 23), second.message(4, 21.5));
    expect(judge.values).toEqual([21.5, 22, 23, 21.5]);
  });

  it('knows by time and value what was answered and not heard of, each once', () => {
    const judge = new RepeatJudge();
    const first = new Connection('press');
    judge.accept(first.message(1, timed), first.message(2, timed));
    first.cut();
    const second = new Connection('press');
    for (let id = 1; id <= 4; id++) judge.accept(second.message(id, timed));
    expect(judge.values).toHaveLength(4);
    expect(judge.intake.counts.duplicates).toBe(2);
  });

  it('does not take for its own what another client has sent', () => {
    const judge = new RepeatJudge();
    judge.accept(new Connection('press').message(1, 1));
    judge.accept(new Connection('other').message(1, timed));
    judge.accept(new Connection('press').message(2, timed), new Connection('press').message(1, 1, { isDup: true }));
    expect(judge.values).toEqual([1, 21.5, 21.5]);
  });

  it('counts a message with several readings once, whatever some of them are', () => {
    const judge = new RepeatJudge();
    const payload = [timed, timed, { value: 3, ts: NOW }, { value: 'x', ts: NOW }];
    const first = new Connection('press');
    judge.accept(first.message(1, payload));
    first.cut();
    const second = new Connection('press');
    judge.accept(second.message(1, payload));
    second.cut();
    const third = new Connection('press');
    // In other messages, and once more than before.
    judge.accept(third.message(1, [timed, { value: 3, ts: NOW }]), third.message(2, timed), third.message(3, timed));
    expect(judge.values).toEqual([21.5, 21.5, 3, 21.5]);
    expect(judge.intake.counts).toMatchObject({ rejected: 2, duplicates: 6 });
    judge.accept(third.message(1, [timed, { value: 3, ts: NOW }], { isDup: true }));
    expect(judge.values).toHaveLength(4);
  });

  it('forgets what was refused', () => {
    const judge = new RepeatJudge();
    const first = new Connection('press');
    judge.take([first.message(1, 21.5)]);
    judge.take([first.message(1, 21.5, { isDup: true }), first.message(2, 22)]);
    first.cut();
    judge.refuse();
    expect(judge.values).toEqual([22]);
    const second = new Connection('press');
    judge.accept(second.message(1, 21.5, { isDup: true }), second.message(2, 22, { isDup: true }));
    expect(judge.values).toEqual([22, 21.5]);
  });
});

describe('of a client that is not known', () => {
  it('takes by time, value and number what others have sent, each once', () => {
    const judge = new RepeatJudge();
    const first = new Connection('press-1');
    judge.accept(first.message(1, timed), first.message(2, timed), first.message(3, { value: 1, seq: 5 }));
    first.cut();
    const second = new Connection('press-2');
    judge.accept(...[1, 2, 3].map((id) => second.message(id, timed)), second.message(4, { value: 1, seq: 5 }));
    expect(judge.values).toEqual([21.5, 21.5, 1, 21.5]);
  });

  it('counts bare numbers as often as they come', () => {
    const judge = new RepeatJudge();
    judge.accept(new Connection('press-1').message(1, 21.5));
    judge.accept(new Connection('press-2').message(1, 21.5, { isDup: true }));
    expect(judge.values).toHaveLength(2);
  });
});

describe('after a kill', () => {
  for (const hasSnapshot of [false, true]) {
    const what = hasSnapshot ? 'from the snapshot' : 'from the journal';

    it(`knows by DUP what came before it, ${what}`, () => {
      const judge = new RepeatJudge();
      const first = new Connection('press');
      judge.accept(...[1, 2, 3].map((id) => first.message(id, 21.5)));
      if (hasSnapshot) judge.snapshot();
      judge.accept(...[4, 5].map((id) => first.message(id, 21.5)));
      judge.take([first.message(6, 21.5)]);
      judge.take([first.message(7, 21.5)]);
      first.cut();
      judge.kill(1);
      const second = new Connection('press');
      judge.accept(...[2, 3, 4, 5, 6, 7].map((id) => second.message(id, 21.5, { isDup: true })));
      expect(judge.values).toHaveLength(7);
    });

    it(`takes a bare number without DUP for new, and knows by its time what may be unanswered, ${what}`, () => {
      const judge = new RepeatJudge();
      const first = new Connection('press');
      for (let id = 1; id <= 10; id++) judge.accept(first.message(id, 21.5));
      judge.accept(first.message(11, timed));
      if (hasSnapshot) judge.snapshot();
      judge.take([first.message(12, 21.5), first.message(13, timed)]);
      first.cut();
      judge.kill(1);
      const second = new Connection('press');
      judge.accept(
        second.message(1, 21.5),
        second.message(2, timed),
        second.message(3, timed),
        second.message(4, timed),
      );
      expect(judge.values).toHaveLength(15);
    });
  }

  it('knows from the snapshot what was not answered', () => {
    const judge = new RepeatJudge();
    const first = new Connection('press');
    judge.accept(first.message(1, 21.5));
    judge.take([first.message(2, 21.5)]);
    first.cut();
    judge.commit();
    judge.snapshot();
    judge.kill();
    const second = new Connection('press');
    judge.accept(second.message(1, 21.5), second.message(2, 21.5));
    expect(judge.values).toHaveLength(3);
  });

  it('knows what a connection had repeated that was killed before the repeats were answered', () => {
    const judge = new RepeatJudge();
    const first = new Connection('press');
    judge.accept(...[1, 2, 3].map((id) => first.message(id, 21.5)));
    first.cut();
    let last = 3;
    // In every life all is repeated and something new comes, and nothing is answered.
    for (let life = 0; life < 4; life++) {
      const next = new Connection('press');
      const repeats = Array.from({ length: last }, (_, i) => next.message(i + 1, 21.5, { isDup: true }));
      last += 1;
      judge.take([...repeats, next.message(last, 21.5)]);
      next.cut();
      judge.kill(1);
    }
    expect(judge.values).toHaveLength(7);
  });

  it('knows clients under the numbers that they had', () => {
    const judge = new RepeatJudge();
    for (let i = 0; i < 5; i++) judge.accept(new Connection(`client ${i}`).message(1, i));
    judge.snapshot();
    for (let i = 5; i < 9; i++) judge.accept(new Connection(`client ${i}`).message(1, i));
    judge.kill();
    for (let i = 0; i < 10; i++) judge.accept(new Connection(`client ${i}`).message(1, i, { isDup: true }));
    expect(judge.values).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect(judge.intake.counts.clients).toBe(10);
  });
});

describe('the memory of messages', () => {
  it('knows so many of a client, and of no more', () => {
    const judge = new RepeatJudge();
    const max = limits.messagesRememberedMax;
    const first = new Connection('press');
    for (let id = 1; id <= max + 10; id++) judge.accept(first.message(id, 21.5));
    judge.accept(first.message(11, 21.5, { isDup: true }));
    expect(judge.intake.counts.duplicates).toBe(1);
    judge.accept(first.message(10, 21.5, { isDup: true }));
    expect(judge.intake.counts.duplicates).toBe(1);
  });

  it('knows what is newer than all of a client for new, and compares what can be older by time and value', () => {
    const judge = new RepeatJudge();
    const max = limits.messagesRememberedMax;
    const first = new Connection('press');
    judge.accept(first.message(1, timed));
    for (let id = 2; id <= max + 10; id++) judge.accept(first.message(id, 22, { topic: 'sensors/a/c' }));
    first.cut();
    const second = new Connection('press');
    judge.accept(second.message(1, timed, { isDup: true }), second.message(max + 11, timed, { isDup: true }));
    expect(judge.intake.counts).toMatchObject({ accepted: max + 11, duplicates: 1 });
  });

  it('forgets clients beyond the limit, the longest away first and none that is connected, and counts them', () => {
    const judge = new RepeatJudge();
    const staying = new Connection('staying');
    judge.accept(staying.message(1, 1));
    for (let i = 0; i < limits.clientsRememberedMax + 10; i++) {
      const passing = new Connection(`passing ${i}`);
      judge.accept(passing.message(1, i));
      passing.cut();
    }
    expect(judge.intake.counts).toMatchObject({ clients: limits.clientsRememberedMax, clientsForgotten: 11 });
    judge.accept(staying.message(1, 1, { isDup: true }));
    judge.accept(new Connection('passing 11').message(1, 11, { isDup: true }));
    expect(judge.intake.counts.duplicates).toBe(2);
    judge.accept(new Connection('passing 3').message(1, 3, { isDup: true }));
    expect(judge.intake.counts.duplicates).toBe(2);
  });

  it('costs eight bytes of journal for each message', () => {
    const judge = new RepeatJudge();
    const connection = new Connection('press');
    judge.accept(connection.message(1, timed));
    const introducing = judge.lastBytes;
    judge.accept({ ...connection.message(1, { ...timed, ts: NOW + 2 }), sent: undefined });
    const without = judge.lastBytes;
    judge.accept(connection.message(60_000, { ...timed, ts: NOW + 1 }));
    expect([introducing - without, judge.lastBytes - without]).toEqual([14, 8]);
    judge.accept(connection.message(60_001, 21.5));
    // A time that the device did not send is not written either.
    expect(judge.lastBytes - without).toBe(0);
  });
});

describe('the hash of a message', () => {
  it('differs where a character of the topic, a byte of the payload, or the place between them does', () => {
    const messages = [
      ...['a', 'ab', 'abc', 'abd', 'bbc', 'abc\u0000'].map((topic) => [topic, '21.5'] as const),
      ...['', '2', '21', '21.', '21.6', '21.50', '21.51', '31.5', '21.5\u0000', '2\u0000'].map(
        (payload) => ['a', payload] as const,
      ),
      ['a2', '1.5'] as const,
    ];
    const hashes = messages.map(([topic, payload]) => hashMessage(topic, Buffer.from(payload)));
    expect(new Set(hashes).size).toBe(messages.length);
    expect(hashes.every((hash) => Number.isInteger(hash) && hash >= 0 && hash < 2 ** 32)).toBe(true);
  });
});
