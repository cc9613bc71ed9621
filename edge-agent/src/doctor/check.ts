import type { AgentConfig } from '../config.ts';
import type { Finding } from './finding.ts';
import type { AgentProbe } from './agent-probe.ts';

/** Folders of the operating system; tests give others. */
export interface SystemFolders {
  readonly proc: string;
  readonly sys: string;
}

/** What every check may look at. */
export interface MachineContext {
  readonly system: SystemFolders;
  /** Aborts when the check's time is over. */
  readonly signal: AbortSignal;
}

/** What a check may look at when the configuration can be read. */
export interface GatewayContext extends MachineContext {
  readonly configFile: string;
  readonly config: AgentConfig;
  readonly agent: AgentProbe;
}

interface CheckBase {
  /** One word or two; the same in every release, for programs that read the report. */
  readonly name: string;
  /** How long it may take; {@link limits.doctorCheckMsMax} if it does not say. */
  readonly msMax?: number;
}

/** A check that needs no configuration. */
export interface MachineCheck extends CheckBase {
  readonly of: 'machine';
  run(context: MachineContext): Promise<readonly Finding[]>;
}

/** A check that needs to know how the agent is set up. */
export interface GatewayCheck extends CheckBase {
  readonly of: 'gateway';
  run(context: GatewayContext): Promise<readonly Finding[]>;
}

/**
 * A check of one thing. It changes nothing, disturbs no running agent, and says nothing only where there is nothing to look at: an agent
 * that does not run has no readings.
 */
export type Check = MachineCheck | GatewayCheck;
