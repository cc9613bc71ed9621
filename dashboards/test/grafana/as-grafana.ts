import type { SensorTag } from '../../src/grafana/flux-query.ts';

/** What a person has chosen in a dashboard: one name, several, or all (null). */
export type Choice = Readonly<Partial<Record<SensorTag, string | readonly string[] | null>>> & {
  readonly size: string;
};

export interface GrafanaContext {
  readonly choice: Choice;
  readonly from: Date;
  readonly to: Date;
  /** As Go writes a duration: `1m0s`. */
  readonly windowPeriod: string;
  readonly bucket: string;
}

/**
 * Fills a query in as Grafana does: first its page the variables (templateSrv, formats "regex" and none), then its server the macros
 * of Flux (pkg/tsdb/influxdb/flux/macros.go).
 */
export function filledIn(query: string, context: GrafanaContext): string {
  const withVariables = query.replaceAll(/\$\{(\w+)(?::(\w+))?\}/g, (_, name: string, format: string | undefined) => {
    if (name === 'size' && format === undefined) return context.choice.size;
    const value = context.choice[name as SensorTag];
    if (value === undefined || format !== 'regex') throw new Error(`Grafana would not fill in \${${name}:${format}}`);
    if (value === null) return '.*';
    return typeof value === 'string' ? escaped(value) : `(${value.map(escaped).join('|')})`;
  });
  const macros: Record<string, string> = {
    timeRangeStart: context.from.toISOString(),
    timeRangeStop: context.to.toISOString(),
    windowPeriod: context.windowPeriod,
    defaultBucket: `"${context.bucket}"`,
  };
  return withVariables.replaceAll(/\bv\.([a-zA-Z]+)/g, (_, name: string) => {
    const value = macros[name];
    if (value === undefined) throw new Error(`Grafana has no v.${name}`);
    return value;
  });
}

/** Grafana's format "regex". */
const escaped = (value: string): string => value.replaceAll(/[\\^$*+?.()|[\]{}/]/g, String.raw`\$&`);

/** A query as Grafana sends it; the SDK's types of queries are wider than what is in the files. */
export interface FluxTarget {
  readonly refId: string;
  readonly query: string;
  readonly datasource: unknown;
}

/** The query of an annotation or of one target of a panel. @throws Error if it is none. */
export function fluxTarget(target: unknown): FluxTarget {
  if (!isFluxTarget(target)) throw new Error(`${JSON.stringify(target)} is no query in Flux`);
  return target;
}

const isFluxTarget = (target: unknown): target is FluxTarget =>
  typeof target === 'object' &&
  target !== null &&
  'datasource' in target &&
  'refId' in target &&
  typeof target.refId === 'string' &&
  'query' in target &&
  typeof target.query === 'string';

/** The queries of a panel. */
export const targetsOf = ({ targets = [] }: { readonly targets?: readonly unknown[] }): readonly FluxTarget[] =>
  targets.map(fluxTarget);
