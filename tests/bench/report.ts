import { readFileSync, writeFileSync } from 'node:fs';
import { cpus, release, totalmem } from 'node:os';
import path from 'node:path';

import { repositoryRoot } from '../support/index.ts';

const DOCUMENT = path.join(repositoryRoot, 'docs/benchmarks.md');

/** A table of figures under a heading. */
export interface Report {
  /** Marks the place in docs/benchmarks.md: `<!-- name -->` … `<!-- /name -->`. */
  readonly name: string;
  readonly columns: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

/** Prints a table, and puts it into docs/benchmarks.md when the environment variable FLOORWATCH_BENCH_WRITE is set. */
export function publish({ name, columns, rows }: Report): void {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  const table = [line(columns), line(columns.map(() => '---')), ...rows.map(line)].join('\n');
  const text = `${machine()}\n\n${table}`;
  process.stdout.write(`\n${text}\n`);
  if (process.env['FLOORWATCH_BENCH_WRITE'] === undefined) return;
  const [begin, end] = [`<!-- ${name} -->`, `<!-- /${name} -->`];
  const document = readFileSync(DOCUMENT, 'utf8');
  const [before, rest] = document.split(begin);
  const after = rest?.split(end)[1];
  if (before === undefined || after === undefined)
    throw new Error(`docs/benchmarks.md has no place marked ${begin} … ${end}`);
  writeFileSync(DOCUMENT, `${before}${begin}\n${text}\n${end}${after}`);
}

/** Where and when the figures were measured. */
function machine(): string {
  const memory = `${Math.round(totalmem() / 2 ** 30)} GiB`;
  const day = new Date().toISOString().slice(0, 10);
  return `${day}, Node ${process.versions.node}, Linux ${release()}, ${cpus().length} cores (${cpus()[0]?.model.trim() ?? 'unknown'}), ${memory}`;
}
