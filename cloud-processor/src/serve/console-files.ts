import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { extname, join, relative, sep } from 'node:path';

import type { Context } from 'hono';

import { serveLimits } from './limits.ts';

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.json': 'application/json',
  '.webmanifest': 'application/manifest+json',
  '.png': 'image/png',
};

interface ConsoleFile {
  readonly body: Uint8Array<ArrayBuffer>;
  readonly type: string;
  readonly etag: string;
  readonly cache: string;
}

const NOT_BUILT =
  'The console page is not built, so there is nothing to show here. Run "npm run build" and start the processor again. ' +
  'The API under /api/v1 works without it.\n';

/**
 * The files of the console page, read once at the start: no request ever becomes a path. Files under `assets/` carry their content's
 * hash in their name and may be kept for ever; the others are asked for again, and usually answered with 304.
 */
export class ConsoleFiles {
  readonly #files = new Map<string, ConsoleFile>();

  constructor(directory: string) {
    for (const path of listFiles(directory)) {
      const type = TYPES[extname(path)];
      if (type === undefined || statSync(path).size > serveLimits.consoleFileBytesMax) continue;
      const body = new Uint8Array(readFileSync(path));
      const name = `/${relative(directory, path).split(sep).join('/')}`;
      this.#files.set(name, {
        body,
        type,
        etag: `"${createHash('sha256').update(body).digest('base64url').slice(0, 22)}"`,
        cache: name.startsWith('/assets/') ? 'public, max-age=31536000, immutable' : 'no-cache',
      });
    }
  }

  /** The answer to a request for a file of the page. */
  answer(context: Context): Response {
    const { path } = context.req;
    const file = this.#files.get(path === '/' ? '/index.html' : path);
    if (file === undefined) {
      return path === '/' ? context.text(NOT_BUILT, 503) : context.text('There is no such page.\n', 404);
    }
    const headers = { ETag: file.etag, 'Cache-Control': file.cache };
    if (matches(context.req.header('if-none-match'), file.etag)) return context.body(null, 304, headers);
    return context.body(file.body, 200, { ...headers, 'Content-Type': file.type });
  }
}

function listFiles(directory: string): string[] {
  try {
    return readdirSync(directory, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name));
  } catch {
    // Not built: the page says so when it is asked for.
    return [];
  }
}

/** If-None-Match compares weakly (RFC 9110, 13.1.2): compression makes a tag weak. */
function matches(header: string | undefined, etag: string): boolean {
  if (header === undefined) return false;
  return header.split(',').some((tag) => tag.trim().replace(/^W\//, '') === etag || tag.trim() === '*');
}
