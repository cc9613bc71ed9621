/** What the name of a test says when it is skipped: ` (skipped: no influxd was found)`; nothing when it runs. */
export const skippedIf = (isSkipped: boolean, why: string): string => (isSkipped ? ` (skipped: ${why})` : '');
