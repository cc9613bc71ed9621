import { timingSafeEqual, createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo, Server } from 'node:net';

import { getRequestListener } from '@hono/node-server';
import type { Hono, MiddlewareHandler } from 'hono';
import { z } from 'zod';

import { StartError, systemCodeOf } from './errors.ts';
import { readSecret } from './secret.ts';

/** A request that has not sent its headers after this long is cut off. */
const HEADERS_MS_MAX = 10_000;

/** A client that takes nothing of its answer, or sends nothing, is cut after this long; no answer takes longer to begin. */
const IDLE_MS_MAX = 120_000;

/** Where a program's own HTTP endpoint listens. Ports are 0 (any free one) to 65535. */
export const httpConfigSchema = (portDefault: number) =>
  z
    .strictObject({
      host: z.string().min(1).default('127.0.0.1'),
      port: z.number().int().min(0).max(65_535).default(portDefault),
      /** File with the bearer token; without it the environment variable FLOORWATCH_HTTP_TOKEN counts. */
      tokenFile: z.string().min(1).exactOptional(),
    })
    .prefault({});

export type HttpConfig = z.output<ReturnType<typeof httpConfigSchema>>;

/** Whether only programs on this machine can reach `host`. */
export const isLoopback = (host: string): boolean =>
  host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host);

/**
 * The bearer token that callers must send, or undefined if none is asked for.
 *
 * @throws StartError if the endpoint would be reachable from other machines without a token.
 */
export async function httpToken(config: HttpConfig): Promise<string | undefined> {
  const token = await readSecret('HTTP token', config.tokenFile, 'FLOORWATCH_HTTP_TOKEN');
  if (token === undefined && !isLoopback(config.host)) {
    throw new StartError(
      'secret-missing',
      `http.host: ${config.host} can be reached from other machines, and no token is set; ` +
        'put a token into a file and name it in http.tokenFile, set FLOORWATCH_HTTP_TOKEN, or use 127.0.0.1',
    );
  }
  return token;
}

/** Lets a request pass only with `Authorization: Bearer <token>`; compares in constant time. */
export function bearerAuth(token: string): MiddlewareHandler {
  const expected = digest(`Bearer ${token}`);
  return async (context, next) => {
    if (timingSafeEqual(digest(context.req.header('authorization') ?? ''), expected)) return next();
    context.header('WWW-Authenticate', 'Bearer');
    return context.json({ error: 'a bearer token is needed: send the header "Authorization: Bearer <token>"' }, 401);
  };
}

const digest = (text: string): Buffer => createHash('sha256').update(text).digest();

/** An HTTP endpoint that listens. */
export interface HttpServer {
  /** The port in use, also where any free one was asked for. */
  readonly port: number;
  /** Stops listening and cuts what is still open. */
  close(): Promise<void>;
}

/**
 * Listens with `app`.
 *
 * @param field what the port is called in the configuration, for messages: `http.port`.
 * @param idleMs how long a connection may stand still in the middle of a request or an answer.
 * @throws StartError if the port is taken or the address is not this machine's.
 */
export async function serveHttp(
  app: Hono,
  config: Pick<HttpConfig, 'host' | 'port'>,
  field = 'http.port',
  idleMs = IDLE_MS_MAX,
): Promise<HttpServer> {
  const listener = getRequestListener(app.fetch);
  const server = createServer(
    { headersTimeout: HEADERS_MS_MAX },
    (request, response) => void listener(request, response),
  );
  server.timeout = idleMs;
  const { port } = await listen(server, config, field);
  return {
    port,
    async close() {
      if (!server.listening) return;
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

/** Makes any TCP server listen, with the messages that a person needs when it can't. */
export async function listen(
  server: Pick<Server, 'listen' | 'once' | 'off' | 'address'>,
  at: { readonly host: string; readonly port: number },
  field: string,
): Promise<AddressInfo> {
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(at.port, at.host, () => {
        server.off('error', reject);
        resolve();
      });
    });
  } catch (error) {
    const code = systemCodeOf(error);
    if (code === 'EADDRINUSE') {
      const message = `${field}: port ${at.port} on ${at.host} is already in use; stop the program that uses it, or choose another port`;
      throw new StartError('port-in-use', message, { cause: error });
    }
    if (code === 'EADDRNOTAVAIL' || code === 'EACCES' || code === 'ENOTFOUND') {
      const reason = code === 'EACCES' ? 'needs more rights than this user has' : 'is not an address of this machine';
      throw new StartError('address-unavailable', `${field}: ${at.host}:${at.port} ${reason}`, { cause: error });
    }
    throw error;
  }
  return server.address() as AddressInfo;
}
