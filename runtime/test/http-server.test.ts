import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { Hono } from 'hono';
import { afterEach, describe, expect, it, vi } from 'vitest';

import { bearerAuth, type HttpServer, httpToken, isLoopback, serveHttp } from '../src/index.ts';

const app = new Hono();
app.use('/private', bearerAuth('s3cret'));
app.get('/private', (c) => c.text('inside'));
app.get('/', (c) => c.text('hello'));

const open: HttpServer[] = [];
async function serve(port = 0): Promise<HttpServer> {
  const server = await serveHttp(app, { host: '127.0.0.1', port });
  open.push(server);
  return server;
}
afterEach(async () => {
  vi.unstubAllEnvs();
  await Promise.all(open.splice(0).map(async (server) => server.close()));
});

describe('HTTP endpoint', () => {
  it('answers on the port it names, until it is closed', async () => {
    const server = await serve();
    const url = `http://127.0.0.1:${server.port}/`;
    expect(await (await fetch(url)).text()).toBe('hello');
    await server.close();
    await server.close();
    await expect(fetch(url)).rejects.toThrow('fetch failed');
  });

  it('does not keep what a client does not take', async () => {
    const large = new Hono();
    large.get('/', (c) => c.body(new Uint8Array(32 * 1024 * 1024)));
    const server = await serveHttp(large, { host: '127.0.0.1', port: 0 }, 'http.port', 200);
    open.push(server);
    const socket = connect(server.port, '127.0.0.1');
    socket.write('GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n');
    await once(socket, 'readable');
    let bytes = 0;
    // It takes what is on the way only when the server has given up.
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    socket.on('data', (chunk: Buffer) => (bytes += chunk.length));
    socket.on('error', () => undefined);
    await once(socket, 'close');
    expect(bytes).toBeLessThan(32 * 1024 * 1024);
  });

  it('says which field names a port that is in use, and what to do', async () => {
    const { port } = await serve();
    await expect(serve(port)).rejects.toMatchObject({
      code: 'port-in-use',
      message: `http.port: port ${port} on 127.0.0.1 is already in use; stop the program that uses it, or choose another port`,
    });
  });

  it('says that an address is not of this machine', async () => {
    await expect(serveHttp(app, { host: '192.0.2.1', port: 0 })).rejects.toMatchObject({ code: 'address-unavailable' });
  });

  it.each([
    [undefined, 401],
    ['Bearer wrong', 401],
    ['Bearer s3cret2', 401],
    ['s3cret', 401],
    ['Bearer s3cret', 200],
  ])('authorization %j gets %d', async (authorization, status) => {
    const headers = authorization === undefined ? {} : { authorization };
    expect((await app.request('/private', { headers })).status).toBe(status);
  });
});

describe('token', () => {
  it.each(['127.0.0.1', '127.1.2.3', '::1', 'localhost'])('is not needed on %s', async (host) => {
    vi.stubEnv('FLOORWATCH_HTTP_TOKEN', '');
    expect(isLoopback(host)).toBe(true);
    expect(await httpToken({ host, port: 0 })).toBeUndefined();
  });

  it.each(['0.0.0.0', '::', '10.0.0.1', '127.0.0.1.example.com', 'example.com'])('is demanded on %s', async (host) => {
    vi.stubEnv('FLOORWATCH_HTTP_TOKEN', '');
    await expect(httpToken({ host, port: 0 })).rejects.toMatchObject({ code: 'secret-missing' });
    vi.stubEnv('FLOORWATCH_HTTP_TOKEN', 'abc');
    expect(await httpToken({ host, port: 0 })).toBe('abc');
  });

  it('comes from a file before the environment, without the white space around it', async () => {
    const folder = await mkdtemp(path.join(tmpdir(), 'floorwatch-token-'));
    try {
      const tokenFile = path.join(folder, 'token');
      await writeFile(tokenFile, '  from-file\n');
      vi.stubEnv('FLOORWATCH_HTTP_TOKEN', 'from-environment');
      expect(await httpToken({ host: '0.0.0.0', port: 0, tokenFile })).toBe('from-file');
      await writeFile(tokenFile, '\n');
      await expect(httpToken({ host: '127.0.0.1', port: 0, tokenFile })).rejects.toThrow(/is empty/);
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});
