import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { chmod, readdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';

import { messageOf } from '@floorwatch/runtime';

import { onPath } from './executable.ts';
import { type FetchContext, fetchIntoCache, type FetchResult } from './fetch-server.ts';
import { lastLine, runCommand } from './run-command.ts';

const DOWNLOAD_MS_MAX = 10 * 60_000;
const UNPACK_MS_MAX = 60_000;

/** Far above any archive that is pinned; bounds what a wrong address can write to the disk. */
const ARCHIVE_BYTES_MAX = 200 * 1024 * 1024;

/** Downloads the pinned official release and uses it only if every byte is as it was published. */
export async function fromRelease(context: FetchContext): Promise<FetchResult> {
  const { program, environment, systemFolders } = context;
  const { release } = program;
  if (release === undefined) return { problem: 'no official release of it is pinned' };
  const archive = process.platform === 'linux' ? release.archives[process.arch] : undefined;
  if (archive === undefined) {
    return { problem: `no release ${release.version} is pinned for ${process.platform} on ${process.arch}` };
  }
  const [tar] = await onPath(['tar'], environment, systemFolders);
  if (tar === undefined) return { problem: 'this system has no tar' };
  const url = `${release.baseUrl}/${archive.file}`;
  return fetchIntoCache(context, `official release ${release.version}`, async (directory) => {
    context.progress(`downloading ${url}`);
    const file = join(directory, archive.file);
    let sha256: string;
    try {
      sha256 = await download(url, file, context.signal);
    } catch (error) {
      const cause = error instanceof Error && error.cause !== undefined ? ` (${messageOf(error.cause)})` : '';
      return { problem: `${url} can't be downloaded: ${messageOf(error)}${cause}` };
    }
    if (sha256 !== archive.sha256) {
      return { problem: `${url} has the SHA-256 ${sha256} instead of ${archive.sha256}, so it is not used` };
    }
    const unpacking = await runCommand(tar, ['-xzf', file], { environment, timeoutMs: UNPACK_MS_MAX, directory });
    if (unpacking.code !== 0) return { problem: `${archive.file} can't be unpacked: ${lastLine(unpacking.output)}` };
    const inside = (await readdir(directory, { recursive: true })).find(
      (name) => basename(name) === release.executable,
    );
    if (inside === undefined) return { problem: `${archive.file} holds no ${release.executable}` };
    await chmod(join(directory, inside), 0o755);
    return join(directory, inside);
  });
}

/** Writes what `url` answers to `file` and returns its SHA-256 in hexadecimal. */
async function download(url: string, file: string, signal: AbortSignal | undefined): Promise<string> {
  const timeout = AbortSignal.timeout(DOWNLOAD_MS_MAX);
  const response = await fetch(url, { signal: signal === undefined ? timeout : AbortSignal.any([signal, timeout]) });
  if (!response.ok || response.body === null) throw new Error(`the server answered ${response.status}`);
  const hash = createHash('sha256');
  let bytes = 0;
  const measure = new Transform({
    transform(part: Buffer, _encoding, done) {
      bytes += part.length;
      hash.update(part);
      done(bytes > ARCHIVE_BYTES_MAX ? new Error(`it is larger than ${ARCHIVE_BYTES_MAX} bytes`) : null, part);
    },
  });
  await pipeline(Readable.fromWeb(response.body), measure, createWriteStream(file));
  return hash.digest('hex');
}
