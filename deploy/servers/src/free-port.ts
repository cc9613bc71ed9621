import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:net';

/**
 * Below the range from which systems take ports for outgoing connections (Linux: 32768 up), so that a server that is restarted
 * finds its port still free.
 */
const PORT_MIN = 15_000;
const PORT_MAX = 32_000;

/** Whether a server could listen there now. */
export async function isFreePort(port: number, host = '127.0.0.1'): Promise<boolean> {
  const server = createServer();
  try {
    server.listen(port, host);
    await once(server, 'listening');
  } catch {
    return false;
  }
  const closed = once(server, 'close');
  server.close();
  await closed;
  return true;
}

/** A port of the loopback that is free now. Another program may take it first: whoever uses it must be ready to ask again. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(PORT_MIN, PORT_MAX);
    if (await isFreePort(port)) return port;
  }
}
