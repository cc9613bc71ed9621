import { readFile } from 'node:fs/promises';

import { z } from 'zod';

import { messageOf, StartError } from './errors.ts';

const file = z.string().min(1).exactOptional();

/** Files with certificates and a key in PEM. */
export const tlsFilesSchema = z.strictObject({
  /** Certificate authorities to trust instead of those that Node.js knows. */
  caFile: file,
  /** The certificate that this program shows. */
  certFile: file,
  /** Its key. */
  keyFile: file,
});

export type TlsFiles = z.output<typeof tlsFilesSchema>;

/** What stands in the files, under the names that `node:tls` and the NATS client give it. */
export interface TlsTexts {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
}

/**
 * Reads the files.
 *
 * @param field what they are called in the configuration, for messages: `nats.tls`.
 * @throws StartError if one can't be read: at the start a person is there who can mend it.
 */
export async function readTlsFiles(files: TlsFiles, field: string): Promise<TlsTexts> {
  const texts: { -readonly [K in keyof TlsTexts]: TlsTexts[K] } = {};
  for (const name of ['ca', 'cert', 'key'] as const) {
    const path = files[`${name}File`];
    if (path === undefined) continue;
    try {
      texts[name] = await readFile(path, 'utf8');
    } catch (error) {
      const message = `${field}.${name}File: ${path} can't be read: ${messageOf(error)}`;
      throw new StartError('secret-missing', message, { cause: error });
    }
  }
  return texts;
}
