import { EXIT } from '@floorwatch/runtime';
import type { Command } from 'commander';

import type { Severity } from './finding.ts';

/** What a program learns without reading the report. */
export const EXIT_CODES: Readonly<Record<Severity, number>> = {
  ok: EXIT.ok,
  notice: EXIT.ok,
  warning: EXIT.failed,
  // The same as of a start that fails, because often it would.
  critical: EXIT.cannotStart,
};

/**
 * Adds `doctor` to the agent's program.
 *
 * @param setExitCode hears 0 for nothing to do, 1 for warnings, 2 for something critical.
 */
export function addDoctor(program: Command, signal: AbortSignal, setExitCode: (code: number) => void): void {
  program
    .command('doctor')
    .description(
      'examine this gateway and say in words what is wrong and what to do; changes nothing, also while the agent runs. ' +
        'Exit code 0: nothing to do, 1: warnings, 2: something critical',
    )
    .requiredOption('--config <file>', "the agent's configuration file")
    .option('--json', 'one JSON object, for programs', false)
    .action(async ({ config, json }: { config: string; json: boolean }) => {
      // Loaded only now, because the agent itself is a small program.
      const [{ examine }, { reportText }] = await Promise.all([import('./doctor.ts'), import('./report-text.ts')]);
      const isSeen = process.stderr.isTTY && !json;
      const report = await examine(config, {
        signal,
        progress: (check) => isSeen && process.stderr.write(`\r\u{1b}[Kchecking: ${check} …`),
      });
      if (isSeen) process.stderr.write('\r\u{1b}[K');
      process.stdout.write(json ? `${JSON.stringify(report)}\n` : reportText(report));
      setExitCode(EXIT_CODES[report.severity]);
    });
}
