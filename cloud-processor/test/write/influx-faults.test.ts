import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

import { durationMs, epochMs } from '@floorwatch/contracts';
import { createLogger } from '@floorwatch/runtime';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { createStore } from '../../src/write/create-store.ts';
import { storeConfigSchema } from '../../src/write/store-config.ts';
import type { RetentionClock } from '../../src/write/retention-clock.ts';
import type { Store } from '../../src/write/store.ts';
import { BASE, DAY, HOUR, liveRow, messageSeen, MINUTE, PRESS, windowRow } from './sample-rows.ts';

const never = new AbortController().signal;
const TOKEN = 'a token that must never be shown';

/** What the scripted server does with a write of these lines. */
type Script = (lines: readonly string[], response: ServerResponse, request: IncomingMessage) => void;

describe('InfluxDB answers with an error', () => {
  let server: Server;
  let script: Script;
  let queryAnswer: (response: ServerResponse) => void;
  let store: Store;
  /** What the clock of the server says; undefined: the time. */
  let serverDate: number | undefined;
  /** The lines of every write that came, in order. */
  let writes: string[][];

  beforeEach(async () => {
    writes = [];
    serverDate = undefined;
    queryAnswer = (response) => response.end();
    vi.stubEnv('FLOORWATCH_INFLUX_TOKEN', TOKEN);
    server = createServer((request, response) => {
      let body = '';
      request.setEncoding('utf8').on('data', (chunk: string) => (body += chunk));
      request.on('end', () => {
        if (serverDate !== undefined) response.setHeader('date', new Date(serverDate).toUTCString());
        if (request.url!.startsWith('/api/v2/buckets')) {
          response.setHeader('content-type', 'application/json').end('{"buckets":[{"id":"1"}]}');
        } else if (request.url!.startsWith('/api/v2/query')) {
          queryAnswer(response.setHeader('content-type', 'text/csv; charset=utf-8'));
        } else {
          const lines = body.split('\n');
          writes.push(lines);
          script(lines, response, request);
        }
      });
    });
    await new Promise<void>((resolve) => {
      server.listen(0, '127.0.0.1', resolve);
    });
    store = await connected(0);
  });

  async function connected(retentionDays: number, clock?: RetentionClock): Promise<Store> {
    const { port } = server.address() as AddressInfo;
    const url = `http://127.0.0.1:${port}`;
    const config = storeConfigSchema.parse({ kind: 'influxdb', url, org: 'o', retentionDays, timeoutMs: 300 });
    const made = createStore(config, createLogger('test', 'silent'), clock);
    await made.connect(never);
    return made;
  }

  afterEach(async () => {
    await store.close();
    server.closeAllConnections();
    server.close();
    vi.restoreAllMocks();
    vi.unstubAllEnvs();
  });

  const answer =
    (status: number, headers: Record<string, string> = {}, message = 'said so'): Script =>
    (_lines, response) => {
      response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify({ message }));
    };

  it.each([
    [401, 'unauthorised', false],
    [403, 'unauthorised', false],
    [404, 'not-set-up', false],
    [429, 'busy', true],
    [500, 'busy', true],
    [502, 'busy', true],
    [503, 'busy', true],
    [504, 'busy', true],
  ] as const)('%i is %s, retryable: %s', async (status, code, retryable) => {
    script = answer(status);
    await expect(store.write([windowRow()], never)).rejects.toMatchObject({
      name: 'StoreError',
      code,
      retryable,
      message: expect.stringContaining('said so') as string,
      retryAfterMs: undefined,
    });
    expect(writes).toHaveLength(1);
  });

  it.each([
    ['0', 0],
    ['7', 7_000],
    ['120', 120_000],
    ['soon', undefined],
    ['-5', 0],
  ] as const)('Retry-After %s is understood as %s ms', async (header, ms) => {
    script = answer(503, { 'retry-after': header });
    const failure = store.write([windowRow()], never);
    // "-5" is a date to Date.parse, long gone.
    await expect(failure).rejects.toMatchObject({ code: 'busy', retryAfterMs: ms });
  });

  it('Retry-After as a date is understood', async () => {
    script = answer(503, { 'retry-after': new Date(Date.now() + 60_000).toUTCString() });
    const error = await store.write([windowRow()], never).catch((caught: { retryAfterMs: number }) => caught);
    expect((error as { retryAfterMs: number }).retryAfterMs).toBeGreaterThan(55_000);
    expect((error as { retryAfterMs: number }).retryAfterMs).toBeLessThanOrEqual(60_000);
  });

  it('no connection is unreachable, and it says where the trouble is', async () => {
    server.closeAllConnections();
    server.close();
    await expect(store.gateways(0)).rejects.toMatchObject({ code: 'unreachable' });
    await expect(store.write([windowRow()], never)).rejects.toMatchObject({
      code: 'unreachable',
      retryable: true,
      message: expect.stringContaining('ECONNREFUSED') as string,
    });
    await expect(store.connect(never)).rejects.toMatchObject({ code: 'unreachable' });
  });

  it('a server that does not answer is unreachable after the time-out, and the request is not left open', async () => {
    const closed = new Promise<void>((resolve) => {
      script = (_lines, _response, request) => void request.socket.once('close', () => resolve());
    });
    await expect(store.write([windowRow()], never)).rejects.toMatchObject({
      code: 'unreachable',
      message: expect.stringContaining('did not answer in time') as string,
    });
    await closed;
  });

  it('a connection cut behind the body is unreachable', async () => {
    script = (_lines, response) => response.destroy();
    await expect(store.write([windowRow()], never)).rejects.toMatchObject({ code: 'unreachable' });
  });

  it('the signal ends a write that waits', async () => {
    const stop = new AbortController();
    const why = new Error('stopping');
    script = () => stop.abort(why);
    await expect(store.write([windowRow()], stop.signal)).rejects.toBe(why);
  });

  it.each([400, 413, 422])('%i: the poison lines are found and named, the rest is written', async (status) => {
    const poison = new Set([3, 4, 99]);
    const accepted = new Set<string>();
    script = (lines, response) => {
      if (lines.some((line) => line.includes('poison'))) return answer(status)(lines, response, undefined!);
      for (const line of lines) accepted.add(line);
      response.writeHead(204).end();
    };
    const rows = Array.from({ length: 100 }, (_, i) =>
      windowRow({
        start: epochMs(BASE + i * MINUTE),
        sensor: { ...PRESS, device: poison.has(i) ? 'poison' : 'press-01' },
      }),
    );
    expect(await store.write(rows, never)).toEqual({
      kind: 'partial',
      refused: [...poison].map((index) => ({ index, code: 'unfit', reason: `InfluxDB answers ${status}: said so` })),
    });
    expect(accepted.size).toBe(97);
    expect(writes.length).toBeLessThan(3 * 2 * 8);
  });

  it('an error in the middle of bisecting is an error: nothing is known to be written', async () => {
    script = (lines, response, request) => answer(lines.length > 2 ? 422 : 503)(lines, response, request);
    const rows = [0, 1, 2, 3].map((i) => windowRow({ start: epochMs(BASE + i * MINUTE) }));
    await expect(store.write(rows, never)).rejects.toMatchObject({ code: 'busy' });
  });

  it('a time that InfluxDB can not hold is refused without asking', async () => {
    script = (_lines, response) => response.writeHead(204).end();
    const far = windowRow({ start: epochMs(9_300_000_000_000) });
    expect(await store.write([far, windowRow()], never)).toEqual({
      kind: 'partial',
      refused: [{ index: 0, code: 'unfit', reason: 'its time lies outside of what InfluxDB can hold' }],
    });
    expect(writes).toHaveLength(1);
    expect(writes[0]).toHaveLength(1);
  });

  it('rows go in order, at most a thousand lines in a request, running values to their own bucket', async () => {
    const buckets: (string | null)[] = [];
    script = (_lines, response, request) => {
      buckets.push(new URL(request.url!, 'http://x').searchParams.get('bucket'));
      response.writeHead(204).end();
    };
    const rows = Array.from({ length: 2_001 }, (_, i) => windowRow({ start: epochMs(BASE + i * MINUTE) }));
    await store.write([liveRow(Date.now()), ...rows], never);
    expect(writes.map((lines) => lines.length)).toEqual([1_000, 1_000, 1, 1]);
    expect(buckets).toEqual(['floorwatch', 'floorwatch', 'floorwatch', 'floorwatch_live']);
    const times = writes.slice(0, 3).flatMap((lines) => lines.map((line) => Number(line.split(' ').at(-1))));
    expect(times).toEqual(times.toSorted((a, b) => a - b));
  });

  it('a query that fails after its first rows is an error, not a short list', async () => {
    queryAnswer = (response) =>
      response.end(
        '#datatype,string,long,string\r\n#group,false,false,false\r\n#default,_result,,\r\n,result,table,_value\r\n\r\n' +
          '#datatype,string,string\r\n#group,true,true\r\n#default,,\r\n,error,reference\r\n,memory limit reached,897\r\n',
      );
    await expect(store.gateways(0)).rejects.toMatchObject({
      code: 'busy',
      message: expect.stringContaining('memory limit reached') as string,
    });
  });

  it('a query that stalls behind its first rows is an error', async () => {
    queryAnswer = (response) => void response.write('#datatype,string,long,string\r\n');
    await expect(store.gateways(0)).rejects.toMatchObject({ code: 'unreachable' });
  });

  it('a stored row that can not be read is damaged', async () => {
    const table = (value: string): string =>
      `#datatype,string,long,string\r\n#group,false,false,false\r\n#default,_result,,\r\n,result,table,_value\r\n,,0,${value}\r\n`;
    for (const value of ['{', '{}', 'null', '"{""table"":""window""}"']) {
      queryAnswer = (response) => response.end(table(value));
      await expect(store.gateways(0)).rejects.toMatchObject({ code: 'damaged', retryable: false });
    }
  });

  describe('rows past their retention by the clocks of this machine', () => {
    const DAYS_AHEAD = 400 * DAY;
    const now = Date.now();
    const today = windowRow({ start: epochMs(now - HOUR) });

    beforeEach(() => {
      script = (_lines, response) => response.writeHead(204).end();
    });

    it('are written when these clocks stepped ahead while it was running, and /healthz says which clock is wrong', async () => {
      store = await connected(365, messageSeen(now + DAYS_AHEAD));
      vi.spyOn(Date, 'now').mockReturnValue(now + DAYS_AHEAD);
      expect(await store.write([today], never)).toEqual({ kind: 'written' });
      expect(store.concerns!()['storeClock']).toMatch(/400 d behind ours/);
    });

    it.each([
      ['written when the clock of the server is right again', 6_000, { kind: 'written' }],
      ['not asked about again within seconds', 1_000, { kind: 'partial', refused: [{ code: 'expired' }] }],
    ])('are %s', async (_what, later, outcome) => {
      serverDate = now + DAYS_AHEAD;
      store = await connected(365, messageSeen(now + DAYS_AHEAD));
      serverDate = undefined;
      const ticks = performance.now();
      vi.spyOn(performance, 'now').mockReturnValue(ticks + later);
      expect(await store.write([today], never)).toMatchObject(outcome);
    });

    it('are not settled while the server can not say what time it is', async () => {
      serverDate = now + DAYS_AHEAD;
      store = await connected(365, messageSeen(now + DAYS_AHEAD));
      server.closeAllConnections();
      server.close();
      const ticks = performance.now();
      vi.spyOn(performance, 'now').mockReturnValue(ticks + 6_000);
      await expect(store.write([today], never)).rejects.toMatchObject({ code: 'unreachable', retryable: true });
    });
  });

  it('the token is in no message', async () => {
    script = answer(401);
    const error: unknown = await store.write([windowRow()], never).catch((caught: unknown) => caught);
    expect(JSON.stringify(error) + String(error) + (error as Error).stack).not.toContain(TOKEN);
  });
});

describe('an InfluxDB store without a token', () => {
  it('does not start, and says what to do', async () => {
    vi.stubEnv('FLOORWATCH_INFLUX_TOKEN', '');
    const config = storeConfigSchema.parse({ kind: 'influxdb', url: 'http://127.0.0.1:1', org: 'o' });
    const store = createStore(config, createLogger('test', 'silent'));
    await expect(store.connect(never)).rejects.toMatchObject({
      name: 'StartError',
      code: 'secret-missing',
      message: expect.stringContaining('store.tokenFile') as string,
    });
    await expect(
      store.windows({ sensor: PRESS, size: durationMs(MINUTE), from: epochMs(0), to: epochMs(1), limit: 1 }),
    ).rejects.toMatchObject({ code: 'unreachable' });
    vi.unstubAllEnvs();
  });
});
