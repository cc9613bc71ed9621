import { waitFor } from '../../support/index.ts';
import type { ProcessorProcess } from './processor-process.ts';

/** Waits until the processor raises the alarm `identity`, and gives why it did. */
export async function identityAlarms(processor: ProcessorProcess): Promise<string[]> {
  return waitFor(
    'the alarm "identity" is raised',
    async () => {
      const causes = await processor.metric('alarms_total');
      const raised = [...causes].filter(([labels, times]) => labels.includes('kind="identity"') && times > 0);
      return raised.length > 0 && raised.map(([labels]) => /cause="([^"]*)"/.exec(labels)?.[1] ?? labels);
    },
    { timeoutMs: 30_000 },
  );
}
