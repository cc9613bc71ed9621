import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import {
  type LoopbackServer,
  type LoopbackServerOptions,
  type NatsServerOptions,
  startInfluxd,
  startNatsServer,
} from '@floorwatch/servers';
import { afterAll, afterEach } from 'vitest';

import { ChildProgram, type ChildProgramOptions } from './child-program.ts';

/** What a test starts and makes; all of it is stopped and removed afterwards, the newest first, also when the test fails. */
export class Resources {
  readonly #disposals: (() => unknown)[] = [];

  /** Calls `dispose` at the end. */
  defer(dispose: () => unknown): void {
    this.#disposals.push(dispose);
  }

  /** A folder of its own. */
  async directory(): Promise<string> {
    const directory = await mkdtemp(join(tmpdir(), 'floorwatch-test-'));
    this.defer(() => rm(directory, { recursive: true, force: true, maxRetries: 3 }));
    return directory;
  }

  /** A real nats-server with JetStream at a free port, with a folder of its own. */
  async nats(options: Partial<NatsServerOptions> = {}): Promise<LoopbackServer> {
    const server = await startNatsServer({ ...options, directory: options.directory ?? (await this.directory()) });
    this.defer(() => server.stop());
    return server;
  }

  /** A real influxd at a free port, with a folder of its own; fresh, so not set up: see {@link onboardInfluxd}. */
  async influxd(options: Partial<LoopbackServerOptions> = {}): Promise<LoopbackServer> {
    const server = await startInfluxd({ ...options, directory: options.directory ?? (await this.directory()) });
    this.defer(() => server.stop());
    return server;
  }

  /** A built program as a child process; killed at the end if it still runs. One that made Node.js warn of something fails the test. */
  program(script: string, parameters: readonly string[] = [], options: ChildProgramOptions = {}): ChildProgram {
    const program = new ChildProgram(script, parameters, options);
    this.defer(async () => {
      await program.kill9();
      const warning = /^\(node:\d+\) .*$/m.exec(program.stderr)?.[0];
      if (warning !== undefined) throw new Error(`${script} made Node.js warn: ${warning}`);
    });
    return program;
  }

  /** Stops and removes everything; errors are thrown together when all was tried. */
  async dispose(): Promise<void> {
    const errors: unknown[] = [];
    for (let dispose = this.#disposals.pop(); dispose !== undefined; dispose = this.#disposals.pop()) {
      try {
        await dispose();
      } catch (error) {
        errors.push(error);
      }
    }
    if (errors.length > 0) throw new AggregateError(errors, 'not everything could be stopped or removed');
  }
}

/** Resources that live until the current test has ended. Call it where tests are defined. */
export function resourcesPerTest(): Resources {
  const resources = new Resources();
  afterEach(() => resources.dispose());
  return resources;
}

/** Resources that live until all tests of the current file or `describe` have ended. Call it where tests are defined. */
export function resourcesPerSuite(): Resources {
  const resources = new Resources();
  afterAll(() => resources.dispose());
  return resources;
}

/** Sets up a fresh influxd with one organisation, one bucket and one token that may do everything. */
export async function onboardInfluxd(
  url: string,
  setup: { readonly org: string; readonly bucket: string; readonly token: string },
): Promise<void> {
  const response = await fetch(`${url}/api/v2/setup`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ ...setup, username: 'floorwatch', password: 'floorwatch-test' }),
  });
  if (response.status !== 201) {
    throw new Error(`setting up ${url} was answered ${response.status}: ${await response.text()}`);
  }
}
