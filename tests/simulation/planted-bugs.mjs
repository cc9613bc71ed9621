/** Bugs that would break the promise, each of which the simulation must find; how their places are found, says `planted` in place.mjs. */
const FILE = 'tests/simulation';
const TEST = 'count every reading once and end as if nothing had happened';

const bug = (name, what, ...edits) => ({ name, what, edits, file: FILE, test: TEST, runsSources: true });
const edit = (folder, find, replace, place) => ({ folder, place, find, replace });

export const plantedBugs = [
  bug(
    'applied-beyond-a-hole',
    'records are applied although others before them are missing',
    edit('cloud-processor', 'first > floor + 1', 'first > floor + 1_000_000', 'judge'),
  ),
  bug(
    'no-generation-check',
    'reading goes on behind the position, whatever has become of the stream',
    edit(
      'cloud-processor',
      "if (remembered.created === null) return { from: first, why: 'first-start' };",
      `$& if (remembered.created !== '') return { from: remembered.position + 1, why: 'continue' };`,
    ),
  ),
  bug(
    'wall-clock-in-apply',
    "windows are sealed by the processor's clock",
    edit(
      'cloud-processor',
      'this.windows.advance(address, record.watermark, this.#out);',
      'this.windows.advance(address, (Date.now() - 10_000) as EpochMs, this.#out);',
    ),
  ),
  bug(
    'correction-before-checkpoint',
    'a correction goes out before the checkpoint that contains it',
    edit(
      'cloud-processor',
      "if (row.table === 'window') return row.revision === 0;",
      "if (row.table === 'window') return true;",
    ),
  ),
  bug(
    'correction-ignores-outbox',
    'a correction is made of what the store has, although a newer value is unsent',
    edit(
      'cloud-processor',
      "if (row?.table === 'window') known.set(start, row); else asked.push(start);",
      'asked.push(start);',
    ),
  ),
  bug(
    'no-through',
    'late readings are merged although the window holds them already',
    edit(
      'cloud-processor',
      'const through = base?.through === undefined ? 0 : orderOf(base.through);',
      'const through = base?.through === undefined || name.size > 0 ? 0 : orderOf(base.through);',
    ),
  ),
  bug(
    'outbox-not-saved',
    'a checkpoint does not hold the output that is unsent',
    edit('cloud-processor', 'unsent: rows', '$&.slice(0, 0)'),
  ),
  bug(
    'global-watermark',
    'a watermark seals the windows of all gateways',
    edit(
      'cloud-processor',
      'this.#gateway(name)?.advance(watermark, out);',
      'this.#gateway(name);\n    for (const gateway of this.#gateways.values()) gateway.advance(watermark, out);',
    ),
  ),
  bug(
    'retry-out-of-order',
    'a request that failed goes behind others',
    edit(
      'cloud-processor',
      'if (signal.aborted) break;',
      '$& void this.#store.write(batch, signal).catch(() => undefined); return true;',
      'OutboxWriter.#write',
    ),
  ),
  bug(
    'partial-window-on-reprocess',
    'windows are made again of which the stream no longer holds the beginning',
    edit(
      'cloud-processor',
      'const whole = inside.filter((window) => replay.isWhole(window));',
      'const whole = inside;',
    ),
  ),
  bug(
    'gap-counted-twice',
    'a gap that begins below the floor is counted whole',
    edit(
      'cloud-processor',
      'this.counts.gaps += record.to - Math.max(floor, record.number - 1);',
      'this.counts.gaps += record.to - Math.min(floor, record.number - 1);',
    ),
  ),
  bug(
    'floor-before-checkpoint',
    'floors are told before the checkpoint is safe',
    edit(
      'cloud-processor',
      'await this.#deadLetters.flush();\n      this.checkpoints.bytes = await this.#file.save(state);',
      'this.floors.saved({ series: state.series, ordinal: state.ordinal, cursor: state.cursor, sources: state.sources });\n      this.floors.saved({ series: state.series, ordinal: state.ordinal, cursor: state.cursor, sources: state.sources });\n      this.checkpoints.bytes = await this.#file.save(state);',
    ),
  ),
  bug(
    'floors-of-the-newest',
    'a floor is told that the older of the two kept checkpoints does not hold',
    edit('cloud-processor', 'return this.#older;', 'return this.#newest;'),
  ),
  bug(
    'stale-epoch-accepted',
    'an epoch that is over is forgotten, so that its records count again',
    edit('cloud-processor', 'before.succeeded = true;\n  before.heardAt = at;', '$&\n  before.floor = 0;'),
  ),
  bug(
    'newer-while-older-may-land',
    'a newer value is sent while a request with an older one may still be carried out',
    edit('cloud-processor', 'for (const { key } of this.#sending) this.#landing.set(key, time);', ''),
  ),
  bug(
    'newer-while-older-may-land-after-restart',
    'the same, where the request is one of the process before',
    edit(
      'cloud-processor',
      'Math.max(first ? 0 : this.#updatesFrom, this.#landing.get(key) ?? 0)',
      'Math.max(first ? 0 : 0, this.#landing.get(key) ?? 0)',
    ),
  ),
  bug(
    'several-values-of-a-key',
    'an older value of a key is sent beside the newer one',
    edit(
      'cloud-processor',
      'const key = rowKey(row);',
      "const key = `${rowKey(row)}${row.table === 'window' ? row.revision : ''}`;",
      'Outbox.#remember',
    ),
  ),
  bug(
    'no-comparison',
    'after a start from the checkpoint before, rows are sent without a look at the store',
    edit('cloud-processor', '!this.#hasOthers', '(!this.#hasOthers || row !== undefined)', 'Outbox.#mayBeStored'),
  ),
];
