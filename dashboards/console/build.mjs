// Bundles the console page into console/dist: one script, one style sheet, both with their content's hash in their name.
import { cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

import { build } from 'esbuild';

const here = fileURLToPath(new URL('.', import.meta.url));
const out = `${here}dist`;

await rm(out, { recursive: true, force: true });
await mkdir(out, { recursive: true });
const { metafile } = await build({
  absWorkingDir: here,
  entryPoints: { console: 'src/main.ts', style: 'styles/console.css' },
  entryNames: 'assets/[name]-[hash]',
  outdir: 'dist',
  bundle: true,
  format: 'esm',
  target: ['es2022', 'chrome111', 'firefox115', 'safari16.4'],
  minify: true,
  sourcemap: 'linked',
  metafile: true,
  logLevel: 'warning',
});
const asset = (extension) => {
  const file = Object.keys(metafile.outputs).find((name) => name.endsWith(extension));
  if (file === undefined) throw new Error(`the bundle has no ${extension} file`);
  return file.replace(/^dist\//, '/');
};
const page = await readFile(`${here}index.html`, 'utf8');
await writeFile(`${out}/index.html`, page.replace('/console.js', asset('.js')).replace('/console.css', asset('.css')));
await cp(`${here}icon.svg`, `${out}/icon.svg`);
