import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';

export interface Instruction {
  readonly name: string;
  readonly text: string;
}

/** The instructions of a Dockerfile, continued lines joined, comments left out. */
export const readInstructions = (file: string): Instruction[] =>
  readFileSync(file, 'utf8')
    .replaceAll(/^#.*\n/gm, '')
    .replaceAll(/\\\n\s*/g, '')
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => ({ name: line.split(' ', 1)[0] ?? '', text: line.slice(line.indexOf(' ') + 1).trim() }));

/** A COPY: from the build context, or from the stage of that name. */
export function parseCopy(text: string): { stage: string | undefined; sources: string[]; target: string } {
  const words = text.split(/\s+/);
  const stage = /^--from=(.+)$/.exec(words[0] ?? '')?.[1];
  const paths = stage === undefined ? words : words.slice(1);
  return { stage, sources: paths.slice(0, -1), target: paths.at(-1) ?? '' };
}

/**
 * Carries out a Dockerfile's COPY steps, and the RUN steps of its named stages, in folders of this machine. What its last stage runs
 * concerns the image's own system folders and is left out.
 *
 * @param context the build context.
 * @param work where each stage gets a folder.
 * @returns the folder that stands for `/app` of the image.
 */
export function assemble(file: string, context: string, work: string): string {
  const stages = new Map<string, string>();
  let folder = '';
  let isNamed = false;
  for (const { name, text } of readInstructions(file)) {
    if (name === 'FROM') {
      const stage = / AS (\w+)$/.exec(text)?.[1];
      isNamed = stage !== undefined;
      folder = join(work, stage ?? 'image');
      mkdirSync(folder);
      if (stage !== undefined) stages.set(stage, folder);
    } else if (name === 'COPY') {
      copy(text, context, folder, stages);
    } else if (name === 'RUN' && isNamed) {
      execFileSync('sh', ['-c', text], { cwd: folder, stdio: 'pipe' });
    }
  }
  return folder;
}

function copy(text: string, context: string, folder: string, stages: ReadonlyMap<string, string>): void {
  const { stage, sources, target } = parseCopy(text);
  for (const source of sources) {
    const from = stage === undefined ? join(context, source) : source.replace(/^\/app/, stages.get(stage) ?? '');
    const intoFolder = target.endsWith('/') && statSync(from).isFile();
    const to = join(folder, target, intoFolder ? basename(from) : '');
    cpSync(from, to, { recursive: true, verbatimSymlinks: true });
  }
}
