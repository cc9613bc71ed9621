/** Pages in `docs/runbooks/` that say what a trouble means and what to do, step by step. */
export type Runbook =
  | 'broker'
  | 'clock'
  | 'damaged-log'
  | 'disk-full'
  | 'disk-health'
  | 'identity'
  | 'memory'
  | 'nats'
  | 'processor'
  | 'processor-silent'
  | 'quarantine'
  | 'readings-rejected'
  | 'secrets'
  | 'will-not-start';

/** Where the page stands, from the folder of the repository. */
export const runbookPath = (page: Runbook): string => `docs/runbooks/${page}.md`;
