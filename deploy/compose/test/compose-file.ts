import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

import { parse } from 'yaml';

/** What the tests look at in a service of `compose.yaml`. */
export interface ComposeService {
  readonly image: string;
  readonly command?: readonly string[];
  readonly entrypoint?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly volumes?: readonly string[];
  readonly ports?: readonly string[];
  readonly secrets?: readonly (string | { readonly source: string; readonly target: string })[];
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>;
  readonly healthcheck?: { readonly test?: readonly string[]; readonly disable?: boolean };
  readonly restart?: string;
  readonly read_only?: boolean;
  readonly cap_drop?: readonly string[];
  readonly security_opt?: readonly string[];
}

export interface ComposeFile {
  readonly services: Readonly<Record<string, ComposeService>>;
  readonly volumes: Readonly<Record<string, unknown>>;
  readonly secrets: Readonly<Record<string, { readonly file: string }>>;
}

/** The folder of `compose.yaml`. */
export const composeDir = fileURLToPath(new URL('..', import.meta.url));

/** `compose.yaml`, with its anchors and merges resolved as Compose does it. */
export const readComposeFile = async (): Promise<ComposeFile> =>
  parse(await readFile(`${composeDir}compose.yaml`, 'utf8'), { merge: true }) as ComposeFile;

/** A mount in the short form, `source:target` or `source:target:ro`. */
export function parseMount(text: string): { source: string; target: string; isFolder: boolean } {
  const [source = '', target = ''] = text.split(':');
  return { source, target, isFolder: source.startsWith('.') };
}
