import { readFile } from 'node:fs/promises';

import { type AnomalyRow, type EpochMs, nameSchema, type Page, SEVERITIES, epochMs } from '@floorwatch/contracts';
import { messageOf, StartError } from '@floorwatch/runtime';
import { z } from 'zod';

import { limits } from '../limits.ts';
import type { FoundEpisode } from './match-truth.ts';

const sensorSchema = z.object({ site: nameSchema, gateway: nameSchema, device: nameSchema, metric: nameSchema });

const episodeSchema = z.object({
  sensor: sensorSchema,
  openedAt: z.number().transform((ms) => epochMs(ms)),
  anomalyKind: z.string(),
  severity: z.enum(SEVERITIES),
  detector: z.string(),
} satisfies Partial<Record<keyof AnomalyRow, z.ZodType>>);

const pageOf = <T>(item: z.ZodType<T>): z.ZodType<Page<T>> =>
  z.object({ items: z.array(item), next: z.string().nullable() });

/** What the processor's API knows, as far as a comparison with a ground truth needs it. */
export class FloorApi {
  readonly #url: string;
  readonly #headers: Record<string, string>;

  /** @param token bearer token; undefined: the API asks for none. */
  constructor(url: string, token: string | undefined) {
    this.#url = url.replace(/\/+$/, '');
    this.#headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
  }

  /** The episodes that opened from `from` to before `to`. */
  async episodes(from: EpochMs, to: EpochMs, signal: AbortSignal): Promise<FoundEpisode[]> {
    return this.#list('anomalies', { from: String(from), to: String(to) }, episodeSchema, signal);
  }

  /** How many sensors the floor has. */
  async sensorCount(signal: AbortSignal): Promise<number> {
    const sensors = await this.#list('sensors', {}, z.object({ id: z.string() }), signal);
    return sensors.length;
  }

  async #list<T>(
    address: string,
    query: Record<string, string>,
    item: z.ZodType<T>,
    signal: AbortSignal,
  ): Promise<T[]> {
    const items: T[] = [];
    const page = pageOf(item);
    let after: string | null = null;
    do {
      const parameters: Record<string, string> = { ...query, limit: String(limits.apiPageItems) };
      if (after !== null) parameters['after'] = after;
      const parsed: Page<T> = page.parse(
        await this.#get(`${this.#url}/api/v1/${address}?${String(new URLSearchParams(parameters))}`, signal),
      );
      items.push(...parsed.items);
      after = parsed.next;
    } while (after !== null);
    return items;
  }

  async #get(url: string, signal: AbortSignal): Promise<unknown> {
    let response: Response;
    try {
      const either = AbortSignal.any([signal, AbortSignal.timeout(limits.apiTimeoutMs)]);
      response = await fetch(url, { headers: this.#headers, signal: either });
    } catch (error) {
      throw new StartError('address-unavailable', `--api: ${url} can't be reached: ${messageOf(error)}`, {
        cause: error,
      });
    }
    if (response.status === 401)
      throw new StartError('usage', `--api: ${url} asks for a token; give it with --token-file`);
    if (!response.ok) throw new StartError('usage', `--api: ${url} answered ${response.status}`);
    return response.json();
  }
}

/** The token in a file, or in FLOORWATCH_HTTP_TOKEN. */
export async function readToken(file: string | undefined): Promise<string | undefined> {
  if (file === undefined) return process.env['FLOORWATCH_HTTP_TOKEN'];
  try {
    const text = await readFile(file, 'utf8');
    return text.trim();
  } catch (error) {
    throw new StartError('usage', `--token-file ${file}: can't be read: ${messageOf(error)}`, { cause: error });
  }
}
