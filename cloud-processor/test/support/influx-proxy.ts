import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

import type { Row } from '@floorwatch/contracts';

import type { Resources } from '../../../tests/support/index.ts';

/** What the proxy does with one write of rows. */
export type StoreFault =
  | { readonly kind: 'pass' }
  /** Answers itself; the server never hears of it. */
  | { readonly kind: 'answer'; readonly status: number; readonly headers?: Readonly<Record<string, string>> }
  /** The server carries it out and the answer says that it took only a part. */
  | { readonly kind: 'partial' }
  /** The connection is cut before the server has heard of it. */
  | { readonly kind: 'reset-before' }
  /** The server carries it out, and the connection is cut instead of the answer. */
  | { readonly kind: 'reset-after' }
  /** Nobody answers; the server gets it all the same, `landsAfterMs` after it came. */
  | { readonly kind: 'stall'; readonly landsAfterMs: number };

/** One write of rows that the server has carried out. */
export interface Landing {
  readonly rows: readonly Row[];
  /** `performance.now()` when it was carried out. */
  readonly at: number;
}

/** Stands before a real InfluxDB, does to each write of rows what the script says, and remembers what the server has carried out. */
export class InfluxProxy {
  readonly landed: Landing[] = [];
  /** How often each fault was played. */
  readonly played = new Map<string, number>();
  /** Rows that no request may hold: the server refuses all of it. */
  poison: (row: Row) => boolean = () => false;
  /** Called for each write of rows to the bucket that is kept. */
  script: () => StoreFault = () => ({ kind: 'pass' });
  readonly #target: URL;
  #late = Promise.resolve();

  private constructor(target: string) {
    this.#target = new URL(target);
  }

  static async start(resources: Resources, target: string): Promise<{ proxy: InfluxProxy; url: string }> {
    const proxy = new InfluxProxy(target);
    const server = createServer((request, response) => void proxy.#handle(request, response));
    await new Promise<void>((resolve) => {
      server.listen(0, '127.0.0.1', resolve);
    });
    resources.defer(() => {
      server.closeAllConnections();
      server.close();
    });
    const { port } = server.address() as AddressInfo;
    return { proxy, url: `http://127.0.0.1:${port}` };
  }

  /** Resolves when nothing that stalled is still to be carried out. */
  async settled(): Promise<void> {
    await this.#late;
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks);
    const url = new URL(request.url ?? '/', this.#target);
    const rows = url.pathname === '/api/v2/write' ? rowsOf(body.toString()) : [];
    const kept = rows.filter(({ table }) => table !== 'window_live');
    if (kept.length === 0) return this.#forward(request, url, body, response);

    await this.#play(this.script(), kept, request, url, body, response);
  }

  async #play(
    fault: StoreFault,
    rows: readonly Row[],
    request: IncomingMessage,
    url: URL,
    body: Buffer,
    response: ServerResponse,
  ): Promise<void> {
    const land = async (): Promise<Response> => {
      const answer = await this.#send(request, url, body);
      if (answer.ok) this.landed.push({ rows, at: performance.now() });
      return answer;
    };
    const name = fault.kind === 'answer' ? String(fault.status) : fault.kind;
    this.played.set(name, (this.played.get(name) ?? 0) + 1);
    if (rows.some(this.poison)) return refuse(response, 400, 'unable to parse');
    switch (fault.kind) {
      case 'pass':
        await passOn(await land(), response);
        break;
      case 'answer':
        refuse(response, fault.status, 'scripted', fault.headers);
        break;
      case 'partial':
        await land();
        refuse(response, 422, 'partial write: scripted dropped=1');
        break;
      case 'reset-before':
        response.destroy();
        break;
      case 'reset-after':
        await land();
        response.destroy();
        break;
      case 'stall':
        this.#late = Promise.all([this.#late, sleep(fault.landsAfterMs).then(land)]).then(() => undefined);
        break;
    }
  }

  async #forward(request: IncomingMessage, url: URL, body: Buffer, response: ServerResponse): Promise<void> {
    await passOn(await this.#send(request, url, body), response);
  }

  async #send(request: IncomingMessage, url: URL, body: Buffer): Promise<Response> {
    const { authorization = '', 'content-type': type = 'text/plain', accept = '*/*' } = request.headers;
    return fetch(url, {
      method: request.method ?? 'GET',
      headers: { authorization, 'content-type': type, accept },
      ...(body.length > 0 && { body: new Uint8Array(body) }),
    });
  }
}

async function passOn(answer: Response, response: ServerResponse): Promise<void> {
  const type = answer.headers.get('content-type');
  response.writeHead(answer.status, type === null ? {} : { 'content-type': type });
  response.end(Buffer.from(await answer.arrayBuffer()));
}

function refuse(
  response: ServerResponse,
  status: number,
  message: string,
  headers?: Readonly<Record<string, string>>,
): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify({ message }));
}

/** The rows in a body of line protocol, which carries each whole in its field `row`. */
const rowsOf = (body: string): Row[] =>
  [...body.matchAll(/[ ,]row="((?:[^"\\]|\\.)*)"/g)].map(
    ([, text = '']) => JSON.parse(text.replaceAll(/\\(["\\])/g, '$1')) as Row,
  );
