/** Bugs that would break the promise, each of which the simulation must find. What is to be found must occur once in its file. */
const FILE = 'tests/simulation';
const TEST = 'count every reading once and end as if nothing had happened';

const bug = (name, what, ...edits) => ({ name, what, edits, file: FILE, test: TEST, runsSources: true });
const edit = (path, find, replace) => ({ path, find, replace });

export const plantedBugs = [
  bug(
    'applied-beyond-a-hole',
    'records are applied although others before them are missing',
    edit(
      'cloud-processor/src/sequence/sequencer.ts',
      '  if (first > floor + 1) {\n',
      '  if (first > floor + 1_000_000) {\n',
    ),
  ),
  bug(
    'no-generation-check',
    'reading goes on behind the position, whatever has become of the stream',
    edit(
      'cloud-processor/src/consume/generation.ts',
      "  if (remembered.created === null) return { from: first, why: 'first-start' };\n",
      "  if (remembered.created === null) return { from: first, why: 'first-start' };\n  if (remembered.created !== '') return { from: remembered.position + 1, why: 'continue' };\n",
    ),
  ),
  bug(
    'wall-clock-in-apply',
    "windows are sealed by the processor's clock",
    edit(
      'cloud-processor/src/fold.ts',
      '        this.windows.advance(address, record.watermark, this.#out);\n',
      '        this.windows.advance(address, (Date.now() - 10_000) as EpochMs, this.#out);\n',
    ),
  ),
  bug(
    'correction-before-checkpoint',
    'a correction goes out before the checkpoint that contains it',
    edit(
      'cloud-processor/src/write/outbox.ts',
      "  if (row.table === 'window') return row.revision === 0;\n",
      "  if (row.table === 'window') return true;\n",
    ),
  ),
  bug(
    'correction-ignores-outbox',
    'a correction is made of what the store has, although a newer value is unsent',
    edit(
      'cloud-processor/src/write/late-corrector.ts',
      "      if (row?.table === 'window') known.set(start, row);\n      else asked.push(start);\n",
      '      asked.push(start);\n',
    ),
  ),
  bug(
    'no-through',
    'late readings are merged although the window holds them already',
    edit(
      'cloud-processor/src/window/late-windows.ts',
      '    const through = base?.through === undefined ? 0 : orderOf(base.through);\n',
      '    const through = base?.through === undefined || name.size > 0 ? 0 : orderOf(base.through);\n',
    ),
  ),
  bug(
    'outbox-not-saved',
    'a checkpoint does not hold the output that is unsent',
    edit('cloud-processor/src/partition.ts', '      unsent: rows,\n', '      unsent: rows.slice(0, 0),\n'),
  ),
  bug(
    'global-watermark',
    'a watermark seals the windows of all gateways',
    edit(
      'cloud-processor/src/window/window-operator.ts',
      '    this.#gateway(name)?.advance(watermark, out);\n',
      '    this.#gateway(name);\n    for (const gateway of this.#gateways.values()) gateway.advance(watermark, out);\n',
    ),
  ),
  bug(
    'retry-out-of-order',
    'a request that failed goes behind others',
    edit(
      'cloud-processor/src/write/outbox-writer.ts',
      '        if (signal.aborted) break;\n',
      '        if (signal.aborted) break;\n        void this.#store.write(batch, signal).catch(() => undefined);\n        return true;\n',
    ),
  ),
  bug(
    'partial-window-on-reprocess',
    'windows are made again of which the stream no longer holds the beginning',
    edit(
      'cloud-processor/src/reprocess/reprocess-partition.ts',
      '      const whole = inside.filter((window) => replay.isWhole(window));\n',
      '      const whole = inside;\n',
    ),
  ),
  bug(
    'gap-counted-twice',
    'a gap that begins below the floor is counted whole',
    edit(
      'cloud-processor/src/fold.ts',
      'this.counts.gaps += record.to - Math.max(floor, record.number - 1);',
      'this.counts.gaps += record.to - Math.min(floor, record.number - 1);',
    ),
  ),
  bug(
    'floor-before-checkpoint',
    'floors are told before the checkpoint is safe',
    edit(
      'cloud-processor/src/partition-runner.ts',
      '      await this.#deadLetters.flush();\n      this.checkpoints.bytes = await this.#file.save(state);\n',
      '      this.floors.saved({ series: state.series, ordinal: state.ordinal, cursor: state.cursor, sources: state.sources });\n      this.floors.saved({ series: state.series, ordinal: state.ordinal, cursor: state.cursor, sources: state.sources });\n      this.checkpoints.bytes = await this.#file.save(state);\n',
    ),
  ),
  bug(
    'floors-of-the-newest',
    'a floor is told that the older of the two kept checkpoints does not hold',
    edit('cloud-processor/src/floors/safe-floors.ts', '    return this.#older;', '    return this.#newest;'),
  ),
  bug(
    'stale-epoch-accepted',
    'an epoch that is over is forgotten, so that its records count again',
    edit(
      'cloud-processor/src/sequence/sequencer.ts',
      '  before.succeeded = true;\n  before.heardAt = at;\n',
      '  before.succeeded = true;\n  before.heardAt = at;\n  before.floor = 0;\n',
    ),
  ),
  bug(
    'newer-while-older-may-land',
    'a newer value is sent while a request with an older one may still be carried out',
    edit(
      'cloud-processor/src/write/outbox.ts',
      '    for (const { key } of this.#sending) this.#landing.set(key, time);\n',
      '',
    ),
  ),
  bug(
    'newer-while-older-may-land-after-restart',
    'the same, where the request is one of the process before',
    edit(
      'cloud-processor/src/write/outbox.ts',
      'Math.max(first ? 0 : this.#updatesFrom, this.#landing.get(key) ?? 0)',
      'Math.max(first ? 0 : 0, this.#landing.get(key) ?? 0)',
    ),
  ),
  bug(
    'several-values-of-a-key',
    'an older value of a key is sent beside the newer one',
    edit(
      'cloud-processor/src/write/outbox.ts',
      '    const key = rowKey(row);\n',
      "    const key = `${rowKey(row)}${row.table === 'window' ? row.revision : ''}`;\n",
    ),
  ),
  bug(
    'no-comparison',
    'after a start from the checkpoint before, rows are sent without a look at the store',
    edit(
      'cloud-processor/src/write/outbox.ts',
      '    this.#comparing = comparing;\n',
      '    this.#comparing = comparing && rows.length < 0;\n',
    ),
  ),
];
