/** A line that a child wrote, for the terminal. */
export interface ShownLine {
  readonly text: string;
  /** Shown even without --verbose. */
  readonly important: boolean;
}

/** Facts that every line of a structured log has and no person needs. */
const COMMON_FACTS = new Set(['level', 'time', 'program', 'msg', 'v']);

/** nats-server and influxd mark their levels each in its way. */
const SERVER_TROUBLE = /\[(WRN|ERR|FTL)\]|\t(warn|error|fatal)\t|\blvl=(warn|error)\b/;
const SERVER_NAMES = new Set(['nats-server', 'influxd']);

/** The simulator's regular word on how far it is. */
const PROGRESS = /readings\/s(, |$)|^\d+%, /;

/** Decides how a child's line looks on the terminal, and whether it matters to the person who watches. */
export function showLine(program: string, line: string): ShownLine {
  const facts = line.startsWith('{') ? parseFacts(line) : undefined;
  if (facts !== undefined) {
    const { level = 'info', msg = '' } = facts as { level?: string; msg?: string };
    const rest = Object.entries(facts).filter(([key]) => !COMMON_FACTS.has(key));
    const details = rest.map(([key, value]) => `${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`);
    const text = [msg, ...details].join('  ');
    return { text: level === 'info' ? text : `${level}: ${text}`, important: level === 'warn' || level === 'error' };
  }
  if (SERVER_NAMES.has(program)) return { text: line, important: SERVER_TROUBLE.test(line) };
  return { text: line, important: line.trim() !== '' && !PROGRESS.test(line) };
}

function parseFacts(line: string): Record<string, unknown> | undefined {
  try {
    return JSON.parse(line) as Record<string, unknown>;
  } catch {
    return undefined;
  }
}
