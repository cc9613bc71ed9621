import { readdir } from 'node:fs/promises';
import { join } from 'node:path';

import { checkExecutable, onPath } from './executable.ts';
import { type FetchContext, fetchIntoCache, type FetchResult } from './fetch-server.ts';
import { type CommandResult, lastLine, runCommand } from './run-command.ts';

/** Chromium with what it depends on is more than 300 MB. */
const PACKAGE_MS_MAX = 15 * 60_000;

/** Installs Debian's package as root, or else downloads it and unpacks the executable into the cache. */
export async function fromDebian(context: FetchContext): Promise<FetchResult> {
  const { program, environment, systemFolders, isRoot } = context;
  if (program.debian === undefined) return { problem: 'Debian has no package of it' };
  const [aptGet] = await onPath(['apt-get'], environment, systemFolders);
  if (aptGet === undefined) return { problem: 'this system has no apt-get' };
  if (isRoot) {
    const installed = await install(context, aptGet, program.debian.package);
    if (!('problem' in installed) || program.debian.executable === undefined) return installed;
    context.progress(`${installed.problem}; trying without installing`);
  }
  if (program.debian.executable === undefined) {
    return { problem: `installing Debian's package ${program.debian.package} needs root` };
  }
  return unpack(context, aptGet, program.debian.package, program.debian.executable);
}

async function install(context: FetchContext, aptGet: string, name: string): Promise<FetchResult> {
  const { program, environment, systemFolders } = context;
  context.progress(`installing Debian's package ${name}`);
  const installing = await aptGetWithLists(context, aptGet, [
    'install',
    '--yes',
    '--no-install-recommends',
    '-o',
    'DPkg::Lock::Timeout=300',
    name,
  ]);
  if (installing.code !== 0) return { problem: `apt-get install ${name} failed: ${lastLine(installing.output)}` };
  for (const path of await onPath(program.executables, environment, systemFolders)) {
    const checked = await checkExecutable(program, path, `Debian's package ${name}`, environment);
    if (!('problem' in checked)) return checked;
  }
  return { problem: `Debian's package ${name} was installed and holds no usable ${program.name}` };
}

async function unpack(context: FetchContext, aptGet: string, name: string, executable: string): Promise<FetchResult> {
  const { environment, systemFolders, signal } = context;
  const [dpkgDeb] = await onPath(['dpkg-deb'], environment, systemFolders);
  if (dpkgDeb === undefined) return { problem: 'this system has no dpkg-deb' };
  return fetchIntoCache(context, `unpacked from Debian's package ${name}`, async (directory) => {
    context.progress(`downloading Debian's package ${name}`);
    const downloading = await aptGetWithLists(context, aptGet, ['download', name], directory);
    const archive = (await readdir(directory)).find((file) => file.endsWith('.deb'));
    if (downloading.code !== 0 || archive === undefined) {
      return { problem: `apt-get download ${name} failed: ${lastLine(downloading.output)}` };
    }
    const unpacking = await runCommand(dpkgDeb, ['-x', archive, 'unpacked'], {
      environment,
      timeoutMs: PACKAGE_MS_MAX,
      directory,
      signal,
    });
    if (unpacking.code !== 0) return { problem: `dpkg-deb -x ${archive} failed: ${lastLine(unpacking.output)}` };
    return join(directory, 'unpacked', executable);
  });
}

/** A fresh container image has no package lists; they are fetched (as root) only when the first attempt fails. */
async function aptGetWithLists(
  context: FetchContext,
  aptGet: string,
  parameters: readonly string[],
  directory?: string,
): Promise<CommandResult> {
  const environment = { ...context.environment, DEBIAN_FRONTEND: 'noninteractive', LC_ALL: 'C' };
  const common = { environment, timeoutMs: PACKAGE_MS_MAX, signal: context.signal };
  const options = directory === undefined ? common : { ...common, directory };
  const first = await runCommand(aptGet, parameters, options);
  if (first.code === 0 || context.signal?.aborted === true) return first;
  context.progress('fetching package lists');
  const updating = await runCommand(aptGet, ['update'], common);
  return updating.code === 0 ? runCommand(aptGet, parameters, options) : first;
}
