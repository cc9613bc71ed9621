import { z } from 'zod';

/** Rules of one detector. More are a list of sensors, not of classes. */
export const rulesMax = 1_000;

/** Normal readings in a row after which an episode closes. */
export const closeAfterReadingsSchema = z.number().int().min(1).max(1_000).default(3);
