import type { AnomalyRow, Severity } from '@floorwatch/contracts';

/** Which episodes a person wants to see. */
export interface AnomalyFilter {
  readonly severity: Severity | undefined;
  readonly openOnly: boolean;
  /** The id of a sensor. */
  readonly sensor?: string;
}

export const anomalySensorId = ({ sensor: s }: AnomalyRow): string => `${s.site}/${s.gateway}/${s.device}/${s.metric}`;

export const isOpen = (row: AnomalyRow): boolean => row.phase !== 'closed';

/** How long an episode has lasted, or lasted, in milliseconds. */
export const lengthOf = (row: AnomalyRow): number => Math.max(0, row.eventTime - row.openedAt);

/** Whether an episode belongs into a list. */
export function matchesFilter(row: AnomalyRow, { severity, openOnly, sensor }: AnomalyFilter): boolean {
  return (
    (severity === undefined || row.severity === severity) &&
    (!openOnly || isOpen(row)) &&
    (sensor === undefined || anomalySensorId(row) === sensor)
  );
}

/**
 * `rows` with newer words on some episodes, the latest opened first. A row of the same episode is replaced unless it is further along:
 * the store's answer may be older than what the live feed has said already.
 */
export function mergeAnomalies(rows: readonly AnomalyRow[], newer: readonly AnomalyRow[], max: number): AnomalyRow[] {
  const byId = new Map(rows.map((row) => [row.id, row]));
  for (const row of newer) {
    const before = byId.get(row.id);
    if (before === undefined || !isFurther(before, row)) byId.set(row.id, row);
  }
  return [...byId.values()].sort((a, b) => b.openedAt - a.openedAt || (a.id < b.id ? -1 : 1)).slice(0, max);
}

const isFurther = (a: AnomalyRow, b: AnomalyRow): boolean =>
  (!isOpen(a) && isOpen(b)) || (isOpen(a) === isOpen(b) && a.readings > b.readings);
