import { isLoopback } from '@floorwatch/runtime';
import type { MiddlewareHandler } from 'hono';
import { secureHeaders } from 'hono/secure-headers';

/** Answers of the API are of the moment; nobody on the way keeps them. */
export const noStore: MiddlewareHandler = async (context, next) => {
  context.header('Cache-Control', 'no-store');
  await next();
};

/** The page needs nothing from elsewhere, runs no inline script, and belongs into nobody's frame. */
export const securityHeaders = (): MiddlewareHandler =>
  secureHeaders({
    contentSecurityPolicy: {
      defaultSrc: ["'none'"],
      scriptSrc: ["'self'"],
      styleSrc: ["'self'"],
      imgSrc: ["'self'"],
      connectSrc: ["'self'"],
      manifestSrc: ["'self'"],
      baseUri: ["'none'"],
      formAction: ["'none'"],
      frameAncestors: ["'none'"],
    },
    xFrameOptions: 'DENY',
    referrerPolicy: 'no-referrer',
    // Whether there is TLS in front is not known here; whoever puts it there sets this header too.
    strictTransportSecurity: false,
  });

/**
 * Without a token only names of this machine are answered: otherwise a foreign page could point its own name at 127.0.0.1 and read
 * the floor through the visitor's browser (DNS rebinding).
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
