import { pino } from 'pino';
import { z } from 'zod';

/** Levels that a person can choose; `trace` and `fatal` are left out because no floorwatch program uses them. */
export const logLevelSchema = z.enum(['debug', 'info', 'warn', 'error', 'silent']).default('info');
export type LogLevel = z.output<typeof logLevelSchema>;

/** What the programs use of a logger: facts as fields first, then one sentence. */
export type Logger = Pick<ReturnType<typeof pino>, 'debug' | 'info' | 'warn' | 'error'>;

/**
 * A structured logger: one JSON object per line on standard output.
 *
 * @param program name of the program, in every line.
 */
export function createLogger(program: string, level: LogLevel): Logger {
  return pino({
    level,
    base: { program },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
    // A second line of defence: secrets are never put into a field on purpose.
    redact: ['token', '*.token', 'password', '*.password', 'authorization', '*.authorization'],
  });
}
