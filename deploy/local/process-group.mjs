// Runs a program with all that it starts as one group, which ends together: a test runner leaves its workers, and those their servers, when it is
// told to end. In plain JavaScript, because it is needed before anything is built.
import { spawn } from 'node:child_process';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'];
/** How long the others of the group may take to end by themselves. */
const PATIENCE_MS = 5_000;
const LOOK_MS = 50;

/**
 * Runs a program until it ends. A signal that this process gets goes to the whole group, and then the rest of the group is waited for, and
 * killed if it takes longer than five seconds.
 *
 * @param options as `spawn` takes them.
 * @returns the exit code, or the signal that ended it or this process.
 */
export async function runGroup(command, args, options = {}) {
  const child = spawn(command, args, { ...options, detached: true });
  let interrupted = null;
  const forward = (signal) => {
    interrupted ??= signal;
    signalGroup(child.pid, signal);
  };
  for (const signal of SIGNALS) process.on(signal, forward);
  try {
    const [code, signal] = await new Promise((resolve, reject) => {
      child.once('error', reject);
      child.once('exit', (...how) => resolve(how));
    });
    if (interrupted !== null) await groupEnded(child.pid);
    return { code, signal: interrupted ?? signal };
  } finally {
    for (const signal of SIGNALS) process.off(signal, forward);
  }
}

async function groupEnded(group) {
  const deadline = Date.now() + PATIENCE_MS;
  while (signalGroup(group, 0)) {
    if (Date.now() > deadline) signalGroup(group, 'SIGKILL');
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}

/** Returns false if nobody is left in it. */
function signalGroup(group, signal) {
  try {
    process.kill(-group, signal);
    return true;
  } catch {
    return false;
  }
}
