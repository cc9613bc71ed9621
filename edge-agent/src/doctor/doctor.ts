import { epochMs, type EpochMs } from '@floorwatch/contracts';
import { loadConfig, messageOf, pause, StartError, VERSION } from '@floorwatch/runtime';

import { type AgentConfig, agentConfigSchema } from '../config.ts';
import { limits } from '../limits.ts';
import { type AgentProbe, probeAgent } from './agent-probe.ts';
import type { Check, SystemFolders } from './check.ts';
import { CHECKS } from './checks/index.ts';
import { critical, type Finding, type Severity, warning, worstOf } from './finding.ts';

/** Version of the report; fields are only ever added. */
export const REPORT_VERSION = 1;

/** A finding, and the check that it comes from. */
export interface CheckedFinding extends Finding {
  readonly check: string;
}

/** How a gateway is. */
export interface DoctorReport {
  readonly schema: typeof REPORT_VERSION;
  readonly version: string;
  readonly at: EpochMs;
  readonly configFile: string;
  /** null: the configuration can't be read. */
  readonly site: string | null;
  readonly gateway: string | null;
  readonly agent: AgentProbe['state'] | 'unknown';
  /** The most severe of all findings. */
  readonly severity: Severity;
  /** In the order of the checks. */
  readonly findings: readonly CheckedFinding[];
}

export interface DoctorOptions {
  readonly system?: SystemFolders;
  /** Hears the name of each check before it runs. */
  readonly progress?: (check: string) => void;
  readonly signal?: AbortSignal;
}

/**
 * Examines the gateway of a configuration file. Changes nothing but a small file in the data folder, which it removes; opens connections
 * of its own under names of their own, so that a running agent is not disturbed.
 */
export async function examine(configFile: string, options: DoctorOptions = {}): Promise<DoctorReport> {
  const { system = { proc: '/proc', sys: '/sys' }, progress, signal: stop = new AbortController().signal } = options;
  const findings: CheckedFinding[] = [];
  const loaded = await load(configFile);
  if ('why' in loaded) {
    const finding = critical(loaded.why, 'correct the file; until then the agent will not start', 'will-not-start');
    findings.push({ check: 'configuration', ...finding });
  }
  const agent = 'config' in loaded ? await probeAgent(loaded.config) : undefined;
  for (const check of CHECKS) {
    if (stop.aborted) break;
    if (check.of === 'gateway' && (agent === undefined || 'why' in loaded)) continue;
    progress?.(check.name);
    const found = await inTime(check, stop, async (signal) => {
      const machine = { system, signal };
      if (check.of === 'machine') return check.run(machine);
      if (agent === undefined || 'why' in loaded) return [];
      return check.run({ ...machine, configFile, config: loaded.config, agent });
    });
    for (const finding of found) findings.push({ check: check.name, ...finding });
  }
  const config = 'config' in loaded ? loaded.config : undefined;
  return {
    schema: REPORT_VERSION,
    version: VERSION,
    at: epochMs(Date.now()),
    configFile,
    site: config?.site ?? null,
    gateway: config?.gateway ?? null,
    agent: agent?.state ?? 'unknown',
    severity: worstOf(findings.map(({ severity }) => severity)),
    findings,
  };
}

async function load(file: string): Promise<{ readonly config: AgentConfig } | { readonly why: string }> {
  try {
    return { config: await loadConfig(file, agentConfigSchema) };
  } catch (error) {
    if (error instanceof StartError) return { why: error.message };
    throw error;
  }
}

/** Runs a check; one that takes too long or breaks is a finding too, and never stops the others. */
export async function inTime(
  { name, msMax = limits.doctorCheckMsMax }: Pick<Check, 'name' | 'msMax'>,
  stop: AbortSignal,
  run: (signal: AbortSignal) => Promise<readonly Finding[]>,
): Promise<readonly Finding[]> {
  // Timers of our own: in Node 20 a signal made of others can be collected as garbage before it aborts.
  const over = new AbortController();
  const end = (): void => over.abort();
  const timer = setTimeout(end, msMax);
  stop.addEventListener('abort', end);
  const finished = new AbortController();
  const late = async (): Promise<readonly Finding[]> => {
    // A check that heeds the signal gets a moment to say what it has found by then.
    await pause(msMax + limits.doctorGraceMs, finished.signal);
    const remedy =
      'run the doctor again; if it happens again, what it looks at hangs, such as a disk or a network drive';
    return [warning(`the check "${name}" did not end within ${msMax / 1_000} s`, remedy)];
  };
  try {
    return await Promise.race([run(over.signal), late()]);
  } catch (error) {
    return [warning(`the check "${name}" could not be made: ${messageOf(error)}`, 'see the message')];
  } finally {
    clearTimeout(timer);
    stop.removeEventListener('abort', end);
    end();
    finished.abort();
  }
}
