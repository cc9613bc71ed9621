import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

import { messageOf, StartError } from '@floorwatch/runtime';
import { describe, expect, it } from 'vitest';

import { resourcesPerTest } from '../../tests/support/index.ts';
import { ProcessorApi } from '../src/processor-api.ts';

describe('the API of the running processor, for commands', () => {
  const resources = resourcesPerTest();

  /** The API of a program that answers like this. */
  async function apiOf(answer: (request: IncomingMessage, response: ServerResponse) => void): Promise<ProcessorApi> {
    const server = createServer(answer);
    await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
    resources.defer(() => void server.close());
    return ProcessorApi.at('/verify', { host: '127.0.0.1', port: (server.address() as AddressInfo).port });
  }

  const refusal = async (answer: Promise<unknown>): Promise<string> => {
    const error: unknown = await answer.then(
      () => undefined,
      (reason: unknown) => reason,
    );
    expect(error).toBeInstanceOf(StartError);
    return messageOf(error);
  };

  it('gives what is answered', async () => {
    const api = await apiOf(({ method, url }, response) => response.end(JSON.stringify({ method, url })));
    expect(await api.ask('POST', '?from=1', 'start it')).toEqual({ method: 'POST', url: '/api/v1/verify?from=1' });
  });

  it('says in the words of the processor why it refuses', async () => {
    const api = await apiOf((_, response) => response.writeHead(409).end('{"error":"another run is in hand"}'));
    expect(await refusal(api.ask('POST', '', 'start it'))).toMatch(/api\/v1\/verify: another run is in hand$/);
    const mute = await apiOf((_, response) => response.writeHead(502).end('<html>'));
    expect(await refusal(mute.ask('POST', '', 'start it'))).toMatch(/status 502$/);
  });

  it('says that another program listens there', async () => {
    const api = await apiOf((_, response) => response.end('<html>welcome</html>'));
    expect(await refusal(api.ask('GET', '', 'start it'))).toMatch(/another program listens there.*http\.port/);
  });

  it('says what to do if nothing listens there', async () => {
    const api = await ProcessorApi.at('/verify', { host: '127.0.0.1', port: 1 });
    expect(await refusal(api.ask('GET', '', 'start it'))).toMatch(/does not answer \(.*\); start it$/);
    await expect(api.send('GET')).rejects.toThrow('fetch failed');
  });
});
