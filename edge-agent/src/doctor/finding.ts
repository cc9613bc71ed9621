import type { Runbook } from '../status/runbooks.ts';

/**
 * How much a finding matters.
 *
 * - `ok`: as it should be.
 * - `notice`: worth knowing; nothing need be done.
 * - `warning`: works now, and will not for ever, or is less safe than it should be.
 * - `critical`: readings are lost or refused, or will be as soon as something else goes wrong.
 */
export const SEVERITIES = ['ok', 'notice', 'warning', 'critical'] as const;

export type Severity = (typeof SEVERITIES)[number];

/** What one check has to say. */
export interface Finding {
  readonly severity: Severity;
  /** What is the case, with the figures. Never holds a secret. */
  readonly finding: string;
  /** What to do; there for warnings and worse. */
  readonly remedy?: string;
  readonly runbook?: Runbook;
}

export const ok = (finding: string): Finding => ({ severity: 'ok', finding });

export const notice = (finding: string, remedy?: string): Finding => ({
  severity: 'notice',
  finding,
  ...(remedy === undefined ? {} : { remedy }),
});

export const warning = (finding: string, remedy: string, runbook?: Runbook): Finding =>
  bad('warning', finding, remedy, runbook);

export const critical = (finding: string, remedy: string, runbook?: Runbook): Finding =>
  bad('critical', finding, remedy, runbook);

function bad(severity: Severity, finding: string, remedy: string, runbook: Runbook | undefined): Finding {
  return { severity, finding, remedy, ...(runbook === undefined ? {} : { runbook }) };
}

/** The most severe of all; `ok` if there are none. */
export const worstOf = (severities: readonly Severity[]): Severity =>
  SEVERITIES.findLast((severity) => severities.includes(severity)) ?? 'ok';
