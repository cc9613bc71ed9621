import { z } from 'zod';

import { movingStatisticsSchema } from '../moving-statistics.ts';
import { epochMs } from '../time.ts';

/** Pieces of many answers. */
export const instant = z.int().transform(epochMs).describe('Epoch milliseconds');
export const count = z.int().min(0);
export const text = z.string();
/** Numbers that are larger than JSON can say are null. */
export const statistic = z.number().nullable();
export const named = { site: text, gateway: text };
export const sensorRef = z.strictObject({ ...named, device: text, metric: text });
export const moving = movingStatisticsSchema;

/** One page of a list. `next` goes into the query's `after` for the page behind it; null: this is the last. */
export interface Page<T> {
  readonly items: readonly T[];
  readonly next: string | null;
}

/** The schema of a {@link Page}. */
export const pageOf = <T extends z.ZodType>(item: T) =>
  z.strictObject({ items: z.array(item), next: text.nullable().describe('`after` of the next page; null: none') });

/** What a program holds that is or becomes an answer of this schema: nothing in it is changed. */
export type Answer<S extends z.ZodType> = Unchanging<z.output<S>>;

type Unchanging<T> = T extends string | number | boolean | null | undefined
  ? T
  : { readonly [K in keyof T]: Unchanging<T[K]> };
