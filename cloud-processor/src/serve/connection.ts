import type { Context } from 'hono';

/** Whom a long answer goes to. */
export interface Connection {
  /** The client's, or that of what it comes through; empty where there is none, as in tests without a server. */
  readonly address: string;
  /** Cuts the connection; what waits for the client is thrown away. */
  readonly hangUp: () => void;
}

/** The connection that a request came on (`@hono/node-server` puts it into the environment). */
export function connectionOf(context: Context): Connection {
  const { incoming, outgoing } = (context.env ?? {}) as {
    readonly incoming?: { readonly socket: { readonly remoteAddress?: string } };
    readonly outgoing?: { destroy(): void };
  };
  return { address: incoming?.socket.remoteAddress ?? '', hangUp: () => outgoing?.destroy() };
}
