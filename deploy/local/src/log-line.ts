/** A line that a child wrote, for the terminal. */
export interface ShownLine {
  readonly text: string;
  /** The same for lines that say the same of other things. */
  readonly topic: string;
  /** Shown even without --verbose. */
  readonly important: boolean;
}

/** Facts that every line of a structured log has and no person needs. */
const COMMON_FACTS = new Set(['level', 'time', 'program', 'msg', 'v']);

/** nats-server and influxd mark their levels each in its way. */
const SERVER_TROUBLE = /\[(WRN|ERR|FTL)\]|\t(warn|error|fatal)\t|\blvl=(warn|error)\b/;
/** What influxd refused a program, which hears it too: that a bucket is not there, say, which is then made. */
const REFUSED_REQUEST = /\bmsg="api error encountered"/;
const SERVER_NAMES = new Set(['nats-server', 'influxd']);

/** The simulator's regular word on how far it is. */
const PROGRESS = /^(\d+%, )?[\d,]+ sent, /;

/** Decides how a child's line looks on the terminal, and whether it matters to the person who watches. */
export function showLine(program: string, line: string): ShownLine {
  const facts = line.startsWith('{') ? parseFacts(line) : undefined;
  if (facts !== undefined) {
    const { level = 'info', msg = '' } = facts as { level?: string; msg?: string };
    const rest = Object.entries(facts).filter(([key]) => !COMMON_FACTS.has(key));
    const details = rest.map(([key, value]) => `${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`);
    const text = [msg, ...details].join('  ');
    return {
      text: level === 'info' ? text : `${level}: ${text}`,
      topic: msg,
      important: level === 'warn' || level === 'error',
    };
  }
  if (SERVER_NAMES.has(program)) {
    return { text: line, topic: line, important: SERVER_TROUBLE.test(line) && !REFUSED_REQUEST.test(line) };
  }
  return { text: line, topic: line, important: line.trim() !== '' && !PROGRESS.test(line) };
}

function parseFacts(line: string): Record<string, unknown> | undefined {
  try {
    return JSON.parse(line) as Record<string, unknown>;
  } catch {
    return undefined;
  }
}
