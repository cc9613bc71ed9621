import { readFile } from 'node:fs/promises';

import { epochMs, nameSchema } from '@floorwatch/contracts';
import { explainProblems, messageOf, StartError } from '@floorwatch/runtime';
import { z } from 'zod';

import { FAULT_TYPE_NAMES } from '../inject/fault.ts';
import type { TruthLine } from '../inject/truth.ts';
import { limits } from '../limits.ts';

const instant = z
  .number()
  .int()
  .transform((ms) => epochMs(ms));

const lineSchema = z.object({
  id: z.string(),
  device: nameSchema,
  metric: nameSchema,
  unit: z.string(),
  type: z.enum(FAULT_TYPE_NAMES),
  from: instant,
  to: instant,
  magnitude: z.number(),
});

/** A ground truth, as `run --truth` writes it. @throws StartError that names the line and what is wrong with it. */
export async function readTruthFile(file: string): Promise<TruthLine[]> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    throw new StartError('usage', `--truth ${file}: can't be read: ${messageOf(error)}`, { cause: error });
  }
  const lines = text.split(/\r?\n/);
  if (lines.length > limits.truthLinesMax) {
    throw new StartError('usage', `--truth ${file}: has ${lines.length} lines, the limit is ${limits.truthLinesMax}`);
  }
  return lines.flatMap((line, index) =>
    line.trim() === '' ? [] : [parse(line, `--truth ${file}, line ${index + 1}`)],
  );
}

function parse(line: string, place: string): TruthLine {
  let json: unknown;
  try {
    json = JSON.parse(line);
  } catch (error) {
    throw new StartError('usage', `${place}: not JSON: ${messageOf(error)}`, { cause: error });
  }
  const parsed = lineSchema.safeParse(json);
  if (!parsed.success) {
    throw new StartError('usage', `${place}: ${explainProblems(parsed.error, json, 'the line').join('; ')}`);
  }
  return parsed.data;
}
