import childProcess from 'node:child_process';
import { syncBuiltinESMExports } from 'node:module';
import net from 'node:net';
import { networkInterfaces } from 'node:os';

const STARTS = ['exec', 'execFile', 'execFileSync', 'execSync', 'fork', 'spawn', 'spawnSync'] as const;

type Listen = (this: net.Server, ...parameters: readonly unknown[]) => net.Server;

/** What a unit test is told that is none. */
const refusal = (what: string): Error =>
  new Error(
    `${what} in a unit test: those start no program and are not reached from elsewhere (tests/support/unit-tests.ts says which files they are)`,
  );

/**
 * From now on, starting a program and listening beyond loopback throw. Servers of the test itself on loopback are allowed.
 *
 * @returns puts everything back.
 */
export function forbidPrograms(): () => void {
  const programs = { ...childProcess };
  const listen = Reflect.get(net.Server.prototype, 'listen') as Listen;
  for (const name of STARTS) {
    Object.assign(childProcess, {
      [name]: (command: unknown) => {
        throw refusal(`${name} of ${String(command)}`);
      },
    });
  }
  syncBuiltinESMExports();
  Object.assign(net.Server.prototype, {
    listen(this: net.Server, ...parameters: readonly unknown[]) {
      if (isOpen(parameters)) throw refusal('a server that is open to other machines');
      return listen.call(this, ...parameters);
    },
  });
  return () => {
    Object.assign(childProcess, programs);
    syncBuiltinESMExports();
    Object.assign(net.Server.prototype, { listen });
  };
}

/** Whether other machines can reach what is asked of `listen`. */
function isOpen([first, second]: readonly unknown[]): boolean {
  if (typeof first === 'string') return false;
  const options = typeof first === 'object' && first !== null ? first : { host: second };
  if ('path' in options && typeof options.path === 'string') return false;
  const host = 'host' in options ? options.host : undefined;
  if (typeof host !== 'string' || host === '0.0.0.0' || host === '::') return true;
  const own = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
  return own.some(({ address, internal }) => address === host && !internal);
}
