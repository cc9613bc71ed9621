import type { Hono, MiddlewareHandler } from 'hono';

import { isLoopback } from './http-server.ts';

/**
 * Answers only requests to a name of this machine. For pages that ask for no token: otherwise a foreign page could point its own name at
 * 127.0.0.1, and read this one through the visitor's browser (DNS rebinding).
 */
export const loopbackNamesOnly: MiddlewareHandler = async (context, next) => {
  const host = context.req.header('host') ?? new URL(context.req.url).host;
  const name = host.replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1');
  if (isLoopback(name)) return next();
  const error = `the host name "${name.slice(0, 100)}" is not this machine's own; open http://127.0.0.1 with the port, or set a token`;
  return context.json({ error }, 403);
};

/**
 * Browsers name the page that a request comes from when it changes something. No page has business here, a foreign one least of all.
 *
 * @param error what such a request is told.
 */
export const programsOnly =
  (error: string): MiddlewareHandler =>
  async (context, next) => {
    if (context.req.method === 'GET' || context.req.header('origin') === undefined) return next();
    return context.json({ error }, 403);
  };

/**
 * Answers 405 with `Allow` for every other method of the addresses that `app` has so far (RFC 9110, 15.5.6). Call it when all of them are
 * there. An address with a star in it is left out: it is not known what is there.
 */
export function refuseOtherMethods(app: Hono): void {
  const allowed = new Map<string, Set<string>>();
  for (const { method, path } of app.routes) {
    if (method === 'ALL' || path.includes('*')) continue;
    const methods = allowed.get(path) ?? new Set();
    allowed.set(path, methods.add(method));
    // Hono answers HEAD with the headers of GET.
    if (method === 'GET') methods.add('HEAD');
  }
  for (const [path, methods] of allowed) {
    const allow = [...methods].join(', ');
    app.all(path, (context) => {
      const error = `${context.req.method} is not possible here; use ${allow}`;
      return context.json({ error }, 405, { Allow: allow });
    });
  }
}
