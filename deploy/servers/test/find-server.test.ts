import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { chmod, mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';

import { beforeEach, describe, expect, it } from 'vitest';

import { ChildProgram, repositoryRoot, resourcesPerTest } from '../../../tests/support/index.ts';
import { onPath } from '../src/executable.ts';
import { type FindOptions, findServer, lookForServer, lookForVersions } from '../src/find-server.ts';
import { fromRelease } from '../src/from-release.ts';
import { SERVER_PROGRAMS } from '../src/server-program.ts';

const resources = resourcesPerTest();

/** A machine of its own: a PATH of one folder, a cache, and what was said on the way. */
let bin: string;
let cache: string;
let said: string[];
let options: FindOptions;

beforeEach(async () => {
  const root = await resources.directory();
  bin = join(root, 'bin');
  cache = join(root, 'cache');
  said = [];
  await mkdir(bin);
  options = {
    environment: { PATH: bin, HOME: root },
    cacheDirectory: cache,
    systemFolders: false,
    isRoot: false,
    progress: (message) => void said.push(message),
  };
});

const script = async (path: string, body: string): Promise<string> => {
  await writeFile(path, `#!/bin/sh\n${body}\n`);
  await chmod(path, 0o755);
  return path;
};

const answering = (version: string): string => `echo "nats-server: v${version}"`;

/** A command that puts an executable of the given version where `place` says. */
const placing = (place: string, version: string): string =>
  `printf '#!/bin/sh\\n%s\\n' '${answering(version)}' > ${place}; /bin/chmod 755 ${place}`;

const fakeGo = (version: string): Promise<string> =>
  script(join(bin, 'go'), `echo "$@" >> "$HOME/go-calls"; ${placing('"$GOBIN/nats-server"', version)}`);

/** apt-get and dpkg-deb, of which the first notes its calls. */
const fakeDebian = async (install: string): Promise<void> => {
  await script(
    join(bin, 'apt-get'),
    `echo "$1" >> "$HOME/apt-calls"
     case "$1" in
       install) ${install} ;;
       download) : > nats-server_2.9.10_all.deb ;;
     esac`,
  );
  const unpacked = '"$3/usr/sbin/nats-server"';
  await script(join(bin, 'dpkg-deb'), `/bin/mkdir -p "$3/usr/sbin"; ${placing(unpacked, '2.9.10')}`);
};

const calls = (of: string): Promise<string> => readFile(join(bin, '..', of), 'utf8');

describe('what is there already', () => {
  it('a choice goes before everything', async () => {
    await script(join(bin, 'nats-server'), answering('2.10.1'));
    const chosen = await script(join(bin, 'mine'), answering('2.11.0'));
    expect(await findServer('nats-server', { ...options, path: chosen })).toEqual({
      path: chosen,
      version: '2.11.0',
      how: 'setting',
    });
    const environment = { ...options.environment, FLOORWATCH_NATS_SERVER: chosen };
    expect((await findServer('nats-server', { ...options, environment })).how).toBe('FLOORWATCH_NATS_SERVER');
  });

  it('a choice that can not be used is an error that names it; nothing is put in its place', async () => {
    await script(join(bin, 'nats-server'), answering('2.10.1'));
    const environment = { ...options.environment, FLOORWATCH_NATS_SERVER: join(bin, 'missing') };
    await expect(findServer('nats-server', { ...options, environment })).rejects.toThrow(
      `nats-server: ${join(bin, 'missing')} is not an executable file; correct FLOORWATCH_NATS_SERVER, or remove it and one is looked for`,
    );
  });

  it('PATH goes before the cache, the cache before fetching', async () => {
    await mkdir(cache);
    await script(join(cache, 'nats-server'), answering('2.10.2'));
    await fakeGo('2.15.2');
    expect(await findServer('nats-server', options)).toMatchObject({ version: '2.10.2', how: 'cache' });
    await script(join(bin, 'nats-server'), answering('2.10.1'));
    expect(await findServer('nats-server', options)).toMatchObject({ version: '2.10.1', how: 'PATH' });
    expect(said).toEqual([]);
  });

  it.each([
    ['2.8.9', undefined],
    ['2.9.0', '2.9.0'],
    ['2.10.0', '2.10.0'],
  ])('version %s is used from 2.9.0 on', async (version, used) => {
    await script(join(bin, 'nats-server'), answering(version));
    expect((await lookForServer('nats-server', options))?.version).toBe(used);
  });

  it('what does not run, says something else or is no file is passed over', async () => {
    await mkdir(cache);
    await script(join(cache, 'nats-server'), answering('2.10.2'));
    await script(join(bin, 'nats-server'), 'echo "cannot execute: wrong architecture" >&2; exit 126');
    expect((await findServer('nats-server', options)).how).toBe('cache');
    await script(join(bin, 'nats-server'), 'echo "another program 2.10.2"');
    expect((await findServer('nats-server', options)).how).toBe('cache');
  });

  it('all versions that are there are told once each, in the order in which they are looked for', async () => {
    await mkdir(cache);
    const other = join(bin, 'other');
    await script(other, answering('2.9.10'));
    await script(join(bin, 'nats-server'), answering('2.10.2'));
    await script(join(cache, 'nats-server'), answering('2.9.10'));
    const versions = await lookForVersions('nats-server', { ...options, path: other });
    expect(versions.map(({ path, version }) => [path, version])).toEqual([
      [other, '2.9.10'],
      [join(bin, 'nats-server'), '2.10.2'],
    ]);
    expect(await lookForVersions('influxd', options)).toEqual([]);
  });

  it('only looking neither builds nor downloads', async () => {
    await fakeGo('2.15.2');
    expect(await lookForServer('nats-server', options)).toBeUndefined();
    expect(await readdir(bin)).toEqual(['go']);
  });
});

describe('fetching', () => {
  it('builds with Go into the cache and finds it there the next time', async () => {
    await fakeGo('2.15.2');
    const found = await findServer('nats-server', options);
    expect(found).toMatchObject({ path: join(cache, 'nats-server'), version: '2.15.2' });
    expect(said.join('\n')).toMatch(/building github\.com\/nats-io\/nats-server.*\n.*ready: /);
    expect((await findServer('nats-server', options)).how).toBe('cache');
    expect(await calls('go-calls')).toBe('install github.com/nats-io/nats-server/v2@v2.15.2\n');
    expect(await readdir(cache)).toEqual(['nats-server', 'nats-server.lock']);
  });

  it('without root downloads and unpacks the package of Debian when Go fails', async () => {
    await script(join(bin, 'go'), 'echo "go: no network" >&2; exit 1');
    await fakeDebian('exit 100');
    const found = await findServer('nats-server', options);
    expect(found).toEqual({
      path: join(cache, 'nats-server'),
      version: '2.9.10',
      how: "unpacked from Debian's package nats-server",
    });
    expect(await calls('apt-calls')).toBe('download\n');
    expect(await readdir(cache)).toEqual(['nats-server', 'nats-server.lock']);
  });

  it('as root installs the package', async () => {
    await fakeDebian(placing(join(bin, 'nats-server'), '2.9.10'));
    const found = await findServer('nats-server', { ...options, isRoot: true });
    expect(found).toEqual({ path: join(bin, 'nats-server'), version: '2.9.10', how: "Debian's package nats-server" });
  });

  it('as root that may not install still unpacks, after one try with fresh package lists', async () => {
    await fakeDebian('echo "E: read-only file system" >&2; exit 100');
    const found = await findServer('nats-server', { ...options, isRoot: true });
    expect(found.how).toBe("unpacked from Debian's package nats-server");
    expect(await calls('apt-calls')).toBe('install\nupdate\ninstall\ndownload\n');
  });

  it('a browser is not unpacked, because it needs its libraries', async () => {
    await fakeDebian('exit 100');
    await expect(findServer('chromium', options)).rejects.toThrow("installing Debian's package chromium needs root");
  });

  it('says all that was tried and what helps', async () => {
    await script(join(bin, 'nats-server'), answering('2.8.0'));
    await script(join(bin, 'go'), 'echo "go: no network" >&2; exit 1');
    const failing = findServer('nats-server', { ...options, releaseBaseUrl: 'http://127.0.0.1:9' });
    await expect(failing).rejects.toMatchObject({ code: 'server-missing' });
    const error = String(await failing.catch((reason: unknown) => reason));
    expect(error).toContain(`PATH: ${join(bin, 'nats-server')} is version 2.8.0, older than 2.9.0`);
    expect(error).toContain(`cache: ${join(cache, 'nats-server')} is not an executable file`);
    expect(error).toContain('Go: go install github.com/nats-io/nats-server/v2@v2.15.2 failed: go: no network');
    expect(error).toContain('Debian: this system has no apt-get');
    expect(error).toContain('official release: this system has no tar');
    expect(error).toContain('What helps: sudo apt-get install nats-server');
  });

  it('two processes at once build once', async () => {
    await script(
      join(bin, 'go'),
      `echo "$@" >> "$HOME/go-calls"; /bin/sleep 0.5; ${placing('"$GOBIN/nats-server"', '2.15.2')}`,
    );
    const index = JSON.stringify(join(repositoryRoot, 'deploy/servers/dist/index.js'));
    const passed = JSON.stringify({ ...options, progress: undefined });
    const finder = join(bin, '..', 'find.mjs');
    await writeFile(
      finder,
      `import { findServer } from ${index}; console.log((await findServer('nats-server', ${passed})).path);`,
    );
    const both = [new ChildProgram(finder), new ChildProgram(finder)];
    for (const program of both) resources.defer(() => program.kill9());
    for (const program of both) {
      expect(await program.exited).toMatchObject({ code: 0 });
      expect(program.stdout).toBe(`${join(cache, 'nats-server')}\n`);
    }
    expect(both.map((program) => program.stderr).join('\n')).toMatch(/another process \(\d+\) is fetching it; waiting/);
    expect((await calls('go-calls')).trim().split('\n')).toHaveLength(1);
  });
});

/** A server that answers every request with the same archive. */
const serve = async (archive: Buffer): Promise<string> => {
  const server = createServer((request, response) => {
    response.statusCode = request.url?.startsWith('/v1/') === true ? 200 : 404;
    response.end(archive);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  resources.defer(() => server.close());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`;
};

const archiveOf = async (version: string): Promise<Buffer> => {
  const root = await resources.directory();
  await mkdir(join(root, 'release'));
  await script(join(root, 'release/nats-server'), answering(version));
  return execFileSync('tar', ['-czf', '-', '-C', root, 'release']);
};

/** Fetches with the given checksum pinned for this processor. */
const fetchPinned = async (baseUrl: string, sha256: string): ReturnType<typeof fromRelease> => {
  const release = { version: '2.10.29', baseUrl, archives: { [process.arch]: { file: 'it.tar.gz', sha256 } } };
  return fromRelease({
    program: { ...SERVER_PROGRAMS['nats-server'], release: { ...release, executable: 'nats-server' } },
    cacheDirectory: cache,
    environment: process.env,
    systemFolders: true,
    isRoot: false,
    signal: undefined,
    progress: (message) => void said.push(message),
  });
};

describe.runIf(process.platform === 'linux')('the official release', () => {
  it('is used when its checksum is the pinned one', async () => {
    const archive = await archiveOf('2.10.29');
    const sha256 = createHash('sha256').update(archive).digest('hex');
    expect(await fetchPinned(await serve(archive), sha256)).toEqual({
      path: join(cache, 'nats-server'),
      version: '2.10.29',
      how: 'official release 2.10.29',
    });
    expect(await readdir(cache)).toEqual(['nats-server']);
  });

  it('is refused when one byte differs, and nothing of it stays', async () => {
    const archive = await archiveOf('2.10.29');
    const sha256 = createHash('sha256').update(archive).digest('hex');
    const tampered = await archiveOf('2.10.30');
    const result = await fetchPinned(await serve(tampered), sha256);
    expect(result).toMatchObject({ problem: expect.stringContaining(`instead of ${sha256}, so it is not used`) });
    expect(await readdir(cache)).toEqual([]);
  });

  it('that is gone is reported with the answer', async () => {
    const served = await serve(Buffer.from('no'));
    const baseUrl = served.replace('/v1', '/v2');
    expect(await fetchPinned(baseUrl, 'f'.repeat(64))).toEqual({
      problem: `${baseUrl}/it.tar.gz can't be downloaded: the server answered 404`,
    });
  });

  it('is the last resort of the whole search', async () => {
    for (const tool of await onPath(['tar', 'gzip'], process.env, true)) {
      await symlink(tool, join(bin, tool.endsWith('tar') ? 'tar' : 'gzip')).catch(() => {});
    }
    const releaseBaseUrl = await serve(await archiveOf('2.10.29'));
    const failing = findServer('nats-server', { ...options, releaseBaseUrl });
    await expect(failing).rejects.toThrow(/official release: http:.*so it is not used/);
  });
});
