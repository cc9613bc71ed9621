import { readFile } from 'node:fs/promises';

import { nameSchema } from '@floorwatch/contracts';
import { explainProblems, messageOf, StartError } from '@floorwatch/runtime';
import { z } from 'zod';

import { parseDuration } from '../duration.ts';
import { limits } from '../limits.ts';
import type { FloorSensor } from '../sensor.ts';
import { FAULT_TYPE_NAMES, type FaultTypeName, findUnfit, type PlannedFault } from './fault.ts';

const durationSchema = z.string().transform((text, context) => {
  const ms = parseDuration(text);
  if (ms !== undefined) return ms;
  context.addIssue({ code: 'custom', message: 'must be a duration such as 30s or 1.5m' });
  return z.NEVER;
});

/** Types of fault to which a magnitude means nothing. */
const WITHOUT_MAGNITUDE: ReadonlySet<FaultTypeName> = new Set(['stuck', 'gap', 'unit']);

const lineSchema = z
  .strictObject({
    type: z.enum(FAULT_TYPE_NAMES),
    device: nameSchema,
    metric: nameSchema,
    /** From the start of the floor. */
    after: durationSchema,
    lasts: durationSchema,
    /** In the sensor's unit, with its sign; of a `season` in hours. */
    magnitude: z.number().optional(),
  })
  .refine(({ type, magnitude }) => magnitude !== undefined || WITHOUT_MAGNITUDE.has(type), {
    path: ['magnitude'],
    message: 'how large the fault is, in the unit of its sensor',
  });

/**
 * Faults that a person has written down: NDJSON, one fault per line, such as
 * `{"type":"shift","device":"oven-01","metric":"temperature","after":"30s","lasts":"1m","magnitude":-25}`.
 *
 * @returns the faults by their beginning.
 * @throws StartError that names the line and what is wrong with it.
 */
export async function readFaultFile(file: string, sensors: readonly FloorSensor[]): Promise<PlannedFault[]> {
  const faults: PlannedFault[] = [];
  for (const [index, line] of (await readLines(file)).entries()) {
    if (line.trim() === '') continue;
    faults.push(parseFault(line, `--faults ${file}, line ${index + 1}`, sensors));
    if (faults.length > limits.faultsMax) throw usage(`--faults ${file}: has more than ${limits.faultsMax} faults`);
  }
  return faults.sort((a, b) => a.after - b.after);
}

async function readLines(file: string): Promise<string[]> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    throw usage(`--faults: must be demo, none or a file; ${file} can't be read: ${messageOf(error)}`);
  }
  if (text.length > limits.faultFileBytesMax) {
    throw usage(`--faults ${file}: has ${text.length} characters, the limit is ${limits.faultFileBytesMax}`);
  }
  return text.split(/\r?\n/);
}

function parseFault(line: string, place: string, sensors: readonly FloorSensor[]): PlannedFault {
  let json: unknown;
  try {
    json = JSON.parse(line);
  } catch (error) {
    throw usage(`${place}: not JSON: ${messageOf(error)}`);
  }
  const parsed = lineSchema.safeParse(json);
  if (!parsed.success) throw usage(`${place}: ${explainProblems(parsed.error, json, 'the line').join('; ')}`);
  const { type, device, metric, after, lasts, magnitude = 0 } = parsed.data;
  const sensor = sensors.find((known) => known.device === device && known.metric === metric);
  if (sensor === undefined) {
    throw usage(
      `${place}: the floor has no sensor ${device}/${metric}; it has ${sensors
        .slice(0, 8)
        .map((known) => `${known.device}/${known.metric}`)
        .join(', ')}…`,
    );
  }
  const unfit = findUnfit(type, sensor);
  if (unfit !== undefined) throw usage(`${place}: ${device}/${metric} ${unfit}; use another sensor for ${type}`);
  if (lasts === 0) throw usage(`${place}: lasts must be longer than 0`);
  return { sensor, type, after, lasts, magnitude };
}

const usage = (message: string): StartError => new StartError('usage', message);
