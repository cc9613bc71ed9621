import { mkdirSync, writeFileSync } from 'node:fs';

import { grafanaFiles } from './files.ts';

const folder = new URL('../../grafana/dashboards/', import.meta.url);
mkdirSync(folder, { recursive: true });
for (const [name, text] of Object.entries(grafanaFiles())) {
  writeFileSync(new URL(name, folder), text);
  process.stdout.write(`dashboards/grafana/dashboards/${name}\n`);
}
