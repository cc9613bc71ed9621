import { runbookPath } from '../status/runbooks.ts';
import type { CheckedFinding, DoctorReport } from './doctor.ts';
import { SEVERITIES, type Severity } from './finding.ts';

const WIDTH = 100;
const INDENT = ' '.repeat(11);

const HEADS: Readonly<Record<Severity, string>> = {
  critical: 'CRITICAL',
  warning: 'WARNING',
  notice: 'notice',
  ok: 'ok',
};

const AGENT: Readonly<Record<DoctorReport['agent'], string>> = {
  running: 'the agent is running',
  stopped: 'the agent is not running',
  hidden: 'the agent could not be asked',
  unknown: 'the configuration can’t be used',
};

/** The report for a person: the worst first, each finding with what to do. */
export function reportText(report: DoctorReport): string {
  const { site, gateway, configFile, findings, agent } = report;
  const name = site === null ? configFile : `${site}/${gateway} (${configFile})`;
  const worstFirst = SEVERITIES.toReversed().flatMap((severity) =>
    findings.filter((finding) => finding.severity === severity).map(findingText),
  );
  return [`Gateway ${name}: ${AGENT[agent]}.`, '', ...worstFirst, '', summary(findings), ''].join('\n');
}

function findingText({ severity, check, finding, remedy, runbook }: CheckedFinding): string {
  const head = HEADS[severity].padEnd(INDENT.length);
  const page = runbook === undefined ? '' : ` (${runbookPath(runbook)})`;
  const lines = [
    ...`${check}: ${finding}`.split('\n').flatMap((line) => wrap(line, WIDTH - INDENT.length)),
    ...(remedy === undefined ? [] : wrap(`→ ${remedy}${page}`, WIDTH - INDENT.length)),
  ];
  return lines.map((line, index) => (index === 0 ? head : INDENT) + line).join('\n');
}

function summary(findings: readonly CheckedFinding[]): string {
  const count = (severity: Severity): number => findings.filter((finding) => finding.severity === severity).length;
  const counts = `${count('critical')} critical, ${count('warning')} to watch, ${count('notice')} to know, ${count('ok')} in order`;
  if (count('critical') > 0) return `${counts}. Begin with the first one above.`;
  return count('warning') > 0 ? `${counts}.` : `${counts}. Nothing need be done.`;
}

/** Lines of at most `width` characters, broken between words; a longer word stays whole, so that it can be copied. */
function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line];
}
