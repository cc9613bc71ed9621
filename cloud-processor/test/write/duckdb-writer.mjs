// Writes one window after the other, in batches of growing size, and tells its parent what the store has acknowledged.
import process from 'node:process';

import { createStore } from '../../dist/write/create-store.js';

const [config, row, from] = process.argv.slice(2).map((argument) => JSON.parse(argument));
const quiet = { debug() {}, info() {}, warn() {}, error() {} };
const never = new AbortController().signal;

const store = createStore(config, quiet);
await store.connect(never);
process.once('disconnect', () => process.exit());
for (let written = from, size = 1; ; size = (size * 3) % 200) {
  const rows = Array.from({ length: size }, (_, i) => ({ ...row, start: row.start + (written + i) * 60_000 }));
  await store.write(rows, never);
  written += size;
  process.send(written);
}
