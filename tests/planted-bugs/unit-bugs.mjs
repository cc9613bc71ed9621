/**
 * Mistakes that somebody could make anywhere in the product, each with the unit test that must fail for it; how their places are found, says
 * `planted` in place.mjs. `npm run mutants` tries them.
 */

const AGENT = 'edge-agent';
const PROCESSOR = 'cloud-processor';
const LOG = 'segment-log';

/** @param place `folder` or `folder: function`. */
const bug = (name, what, [place, find, replace], file, test) => {
  const [folder, member] = place.split(': ');
  const edit = { folder, find, replace, ...(member !== undefined && { place: member }) };
  return { name, what, edits: [edit], file, test, runsSources: true };
};

export const plantedBugs = [
  // Nine that no test noticed before.
  bug(
    'checkpoint-folder-not-synced',
    'the new name of a checkpoint is not made safe',
    [`${PROCESSOR}: CheckpointFile.save`, 'await syncFolder(this.#folder);', ''],
    'cloud-processor/test/checkpoint/checkpoint-file.test.ts',
    'is safe under its name when it is saved: the folder is synced after the last rename',
  ),
  bug(
    'old-slot-of-a-sensor',
    'a sensor object finds its slot from before slots were given up at the cap',
    [`${PROCESSOR}: SensorSlots.keep`, 'this.#byObject = new WeakMap();', ''],
    'cloud-processor/test/window/sensor-slots.test.ts',
    'are found no more by the same objects',
  ),
  bug(
    'current-epoch-forgotten',
    'the current epoch is forgotten when it is older than the stream',
    [
      `${PROCESSOR}: Sequencer.#forget`,
      '!succeeded || at - heardAt <= streamAgeMax',
      'at - heardAt <= streamAgeMax && succeeded !== undefined',
    ],
    'cloud-processor/test/sequence/sequencer.test.ts',
    'without a successor are kept however old they are',
  ),
  bug(
    'event-ids-of-every-run',
    'ids of live events look valid after a restart',
    [`${PROCESSOR}: EventMemory`, "randomBytes(4).toString('hex')", "randomBytes(4).fill(0).toString('hex')"],
    'cloud-processor/test/serve/event-memory.test.ts',
    'takes no id of another start for one of its own',
  ),
  bug(
    'predecessor-not-complete',
    'a predecessor of which the end is lost is not called complete where an epoch begins',
    [`${PROCESSOR}: beginningOf`, 'before.floor = predecessor.last;', ''],
    'cloud-processor/test/sequence/sequencer.test.ts',
    'of which the end is lost is complete when the next one begins',
  ),
  bug(
    'open-episode-counts-as-closed',
    'verify counts an open episode as closed',
    [`${PROCESSOR}: EpisodeComparer.#tally`, "row.phase === 'closed' ? 2 : 1", "row.phase === 'closed' ? 2 : 2"],
    'cloud-processor/test/verify/compare-episodes.test.ts',
    'an open episode is stored as opened, and not as closed',
  ),
  bug(
    'gap-end-not-remembered',
    'a gap is told without remembering where it ended',
    [`${AGENT}: DiskLaneSpool.#gap`, 'if (frames.length > 0) await this.#table.tell(to).catch(() => {});', ''],
    'edge-agent/test/spool/lane-failures.test.ts',
    'are told exactly behind a gap that was told before, also after a kill',
  ),
  bug(
    'floor-of-the-series-before',
    'a new series of checkpoints keeps the floor of the one before',
    [
      `${AGENT}: LaneCursor.hear`,
      'this.#begunAnew = false; this.#setFloor(undefined, now);',
      'this.#begunAnew = false;',
    ],
    'edge-agent/test/uplink/rewind-rules.test.ts',
    'is not held to what the one before called safe',
  ),
  bug(
    'retry-after-ignored',
    'a store that says when to come back is asked before',
    [`${PROCESSOR}: OutboxWriter.#pauseAfter`, 'known?.retryAfterMs ?? 0', '0 * (known?.retryAfterMs ?? 0)'],
    'cloud-processor/test/write/outbox-writer.test.ts',
    'asks a store that says when to come back not before then',
  ),

  // The log.
  bug(
    'log-trims-the-newest',
    'trimming deletes the segment of the newest item',
    [
      `${LOG}: SegmentLog.#removable`,
      'this.#segments.slice(0, Math.max(0, newest))',
      'this.#segments.slice(0, Math.max(0, newest + 1))',
    ],
    'segment-log/test/advance.test.ts',
    'the newest item stays when a newer segment was begun and the disk was full, also after a restart',
  ),
  bug(
    'log-sent-mark-not-saved',
    'a segment counts as sent before that is safe',
    [`${LOG}: SegmentLog.markSent`, 'await this.#saveState();', 'void this.#saveState().catch(() => {});'],
    'segment-log/test/log-limits.test.ts',
    'a log that is full refuses when all it could drop is marked as sent, and a mark is safe before it counts',
  ),
  bug(
    'log-drop-survives-failure',
    'what could not be dropped counts as dropped',
    [
      `${LOG}: SegmentLog.#dropUnsent`,
      'content.dropped = content.dropped.flatMap((other) => without(other, [range]));',
      '',
    ],
    'segment-log/test/log-limits.test.ts',
    'leaves its positions what they were',
  ),
  bug(
    'log-file-before-state',
    'segments are deleted before it is safe that they are trimmed',
    [
      `${LOG}: SegmentLog.trim`,
      'if (gone.length > 0 || wereDropped) await this.#saveState();',
      'if (gone.length === 0 && wereDropped) await this.#saveState();',
    ],
    'segment-log/test/log-limits.test.ts',
    'a log on a real disk is inspected without harm while segments come and go',
  ),
  bug(
    'log-reserve-for-all',
    'every append may use the reserve',
    [
      `${LOG}: SegmentLog.#makeRoom`,
      'group.reserve ? bytesMax : bytesMax - reserveBytes',
      'group.reserve ? bytesMax : bytesMax - 0 * reserveBytes',
    ],
    'segment-log/test/log-limits.test.ts',
    'a log that is full keeps the reserve for those who ask for it',
  ),
  bug(
    'log-groups-mixed',
    'an append joins a group that may use the reserve',
    [`${LOG}: SegmentLog.#groupFor`, 'last.reserve === reserve', 'last.reserve !== undefined'],
    'segment-log/test/log-limits.test.ts',
    'is not for those who come together with one who may use it',
  ),
  bug(
    'log-slot-not-alternated',
    'a state is always written to the same slot',
    [`${LOG}: SlotFile.#write`, '(sequence % 2) * slotBytes', '0 * slotBytes'],
    'segment-log/test/log-limits.test.ts',
    'cursors survive kills and power cuts, and a write that is cut off leaves the value before',
  ),

  // The agent.
  bug(
    'gap-without-predecessor',
    'a gap at number 1 does not name its predecessor',
    [`${AGENT}: DiskLaneSpool.#gap`, 'number === 1 ? { predecessor } : {}', 'number === 0 ? { predecessor } : {}'],
    'edge-agent/test/spool/lane-failures.test.ts',
    'an epoch that is old is forgotten only when its successor is not needed either, and one too many is refused',
  ),
  bug(
    'frames-joined-over-epochs',
    'descriptions of two epochs are joined',
    [
      `${AGENT}: LaneTable.describe`,
      'starts.has(position) || position === this.#content.told',
      'position === this.#content.told && starts.size > 0',
    ],
    'edge-agent/test/spool/lane-failures.test.ts',
    'of two epochs are never told together',
  ),
  bug(
    'part-over-segments',
    'a part reaches into the next segment, which is not marked as sent',
    [
      `${AGENT}: DiskLaneSpool.read`,
      'Math.min(end, inSegment ?? end)',
      'Math.min(end, Math.max(inSegment ?? end, end))',
    ],
    'edge-agent/test/spool/lane-failures.test.ts',
    'a disk that is full takes the table, the mark and the cursor still, and drops what was not sent',
  ),
  bug(
    'recent-frames-after-hole',
    'frames in memory count as following one another although they do not',
    [
      `${AGENT}: RecentFrames.add`,
      'if (last !== undefined && last.first + last.items.length !== first) this.clear();',
      '',
    ],
    'edge-agent/test/spool/recent-frames.test.ts',
    'the newest frames of a lane do not hide that positions lie between them',
  ),
  bug(
    'outdated-floor-believed',
    'an older floor message is believed at once',
    [`${AGENT}: FloorListener.hear`, 'if (this.#outdated < OUTDATED_MAX) return this.#onFloor(message, true);', ''],
    'edge-agent/test/uplink/floor-listener.test.ts',
    'floor messages older than one of the same series are no news; the same once more and a new series are taken',
  ),
  bug(
    'trimmed-without-grace',
    'what a floor has passed is deleted at once',
    [`${AGENT}: LaneCursor.trimmable`, 'now - mark.at >= this.#options.graceMs', 'now - mark.at >= 0'],
    'edge-agent/test/uplink/lane-cursor.test.ts',
    'a lane on its way arrives whole, whatever batches, the stream and the processor lose',
  ),
  bug(
    'rewound-without-end',
    'a position that is not taken is sent again and again without a pause',
    [
      `${AGENT}: LaneCursor.#isTime`,
      'times < 2 ? 0 : Math.min(this.#options.graceMs, STUCK_MS * 2 ** Math.min(times - 2, 20))',
      '0 * times',
    ],
    'edge-agent/test/uplink/rewind-rules.test.ts',
    'a hole that no repeat fills makes sending go back ever more rarely',
  ),
  bug(
    'sequences-kept',
    'where batches stood in another stream is believed',
    [
      `${AGENT}: LaneCursor.#hearSequence`,
      'if (this.#lastSeq !== undefined && seq <= this.#lastSeq) this.#sent.forgetSequences();',
      '',
    ],
    'edge-agent/test/uplink/rewind-rules.test.ts',
    'sending goes back at the next floor when the stream gives a sequence that lies behind the last one',
  ),
  bug(
    'doubtful-floor-deletes',
    'a floor that can not be true lets records be deleted',
    [`${AGENT}: LaneCursor.hear`, 'if (heard.isDoubtful) this.#marks = [];', ''],
    'edge-agent/test/uplink/rewind-rules.test.ts',
    'takes back what was to be deleted because of the one before',
  ),
  bug(
    'ledger-keeps-committed',
    'what is committed counts as sent and uncommitted',
    [`${AGENT}: SentLedger.drop`, '(first.to - through) / (first.to - first.from + 1)', '1'],
    'edge-agent/test/uplink/rewind-rules.test.ts',
    'is the part of a batch behind the floor',
  ),
  bug(
    'sensors-confused-by-unit',
    'a sensor whose unit changed counts as the one before',
    [`${AGENT}: merge`, "`${sensorKey(sensor)}/${sensor.unit ?? ''}`", '`${sensorKey(sensor)}`'],
    'edge-agent/test/uplink/compose-batch.test.ts',
    'a composed batch lists a sensor again when its unit is another',
  ),
  bug(
    'snapshot-folder-not-synced',
    'the new name of a snapshot is not made safe',
    [`${AGENT}: SnapshotFile.save`, 'await this.#fileSystem.syncDirectory(this.#directory);', ''],
    'edge-agent/test/snapshot/snapshot-file.test.ts',
    'saving that stops leaves the newest snapshot or the new one, whatever the step, and the next one is saved',
  ),
  bug(
    'snapshot-damaged-takes-previous',
    'a damaged snapshot takes the place of the good one before it',
    [
      `${AGENT}: SnapshotFile.save`,
      'if (!this.#newestDamaged) await this.#renameIfThere(this.#path(NEWEST), this.#path(PREVIOUS));',
      'await this.#renameIfThere(this.#path(NEWEST), this.#path(PREVIOUS));',
    ],
    'edge-agent/test/snapshot/snapshot-file.test.ts',
    'a damaged snapshot never takes the place of the one before it',
  ),
  bug(
    'snapshot-not-synced',
    'a snapshot is not synced before it takes its name',
    [`${AGENT}: SnapshotFile.#write`, 'await handle.sync();', ''],
    'edge-agent/test/snapshot/snapshots.test.ts',
    'are on the disk when they are saved',
  ),
  bug(
    'journal-trimmed-to-newest',
    'the journal is trimmed to the newest snapshot, not to the one before',
    [
      `${AGENT}: Snapshots.#take`,
      'if (before !== undefined) await covered(before);',
      'if (before !== undefined) await covered(header);',
    ],
    'edge-agent/test/snapshot/snapshots.test.ts',
    'lets go only of what the older of the two kept snapshots does not need',
  ),
  bug(
    'watermark-follows-wrong-clock',
    'the watermark follows a clock that is known to be wrong',
    [
      `${AGENT}: Watermark.tick`,
      'idle && synchronised && sinceStartMs >= START_GRACE_MS',
      'idle && (synchronised || idle) && sinceStartMs >= START_GRACE_MS',
    ],
    'edge-agent/test/stats/watermark.test.ts',
    'watermark does not follow a clock that is known to be wrong',
  ),
  bug(
    'watermark-at-the-start',
    'the watermark follows the clock in the first minute',
    [`${AGENT}: Watermark.tick`, 'sinceStartMs >= START_GRACE_MS', 'sinceStartMs >= 0 * START_GRACE_MS'],
    'edge-agent/test/stats/watermark.test.ts',
    'watermark in the first minute after a start it does not follow the clock',
  ),
  bug(
    'hash-carry-lost',
    'the sums of accepted readings lose their carry',
    [`${AGENT}: AcceptedCounts.add`, 't[o + HIGH]! + hash.high + carry', 't[o + HIGH]! + hash.high + 0 * carry'],
    'edge-agent/test/stats/accepted-counts.test.ts',
    'counts of accepted readings add up to every reading, however often hours are told and forgotten, and whatever comes late',
  ),
  bug(
    'hours-told-too-early',
    'an hour is told before it is over',
    [`${AGENT}: AcceptedCounts.take`, 't[o + HOUR]! + COUNT_MS > until', 't[o + HOUR]! > until'],
    'edge-agent/test/stats/accepted-counts.test.ts',
    'counts of accepted readings add up to every reading, however often hours are told and forgotten, and whatever comes late',
  ),
  bug(
    'journal-start-without-reserve',
    'a start finds no room in a full journal',
    [`${AGENT}: Journal.appendStart`, 'reserve: true', 'reserve: false'],
    'edge-agent/test/journal/journal.test.ts',
    'takes a start where only the reserve has room',
  ),
  bug(
    'skipped-counts-as-lost',
    'positions that no item had count as lost',
    [`${AGENT}: Journal.lostIn`, "why === 'skipped' ? 0 : to - from + 1", 'to - from + 1 + 0 * why.length'],
    'edge-agent/test/journal/journal.test.ts',
    'counts positions that no item ever had not as lost',
  ),

  // The processor.
  bug(
    'runs-remembered-too-long',
    'runs of epochs that are forgotten are kept',
    [`${PROCESSOR}: Sequencer.#forget`, 'while (runs[0] !== undefined && !epochs.has(runs[0][1])) runs.shift();', ''],
    'cloud-processor/test/sequence/sequencer.test.ts',
    'take their runs along when they are forgotten',
  ),
  bug(
    'forgets-current-at-limit',
    'the current epoch is given up at the limit',
    [
      `${PROCESSOR}: Sequencer.#forget`,
      'epoch !== current && epochs.delete(epoch)',
      'epoch !== "" && current !== "" && epochs.delete(epoch)',
    ],
    'cloud-processor/test/sequence/sequencer.test.ts',
    'do not count the current one, also where the clock of the stream goes back',
  ),
  bug(
    'waiting-not-told',
    'a hole behind an epoch that is over is not told',
    [`${PROCESSOR}: judge`, 'if (state.succeeded) source.waiting = true;', ''],
    'cloud-processor/test/sequence/sequencer.test.ts',
    'an epoch that is over: duplicates of it say nothing, new records of it are applied with an alarm',
  ),
  bug(
    'late-window-loses-mark',
    'a correction takes the mark off an incomplete window',
    [
      `${PROCESSOR}: LateWindows.#merge`,
      'base === undefined ? name.incomplete : base.incomplete',
      'base === undefined ? name.incomplete : false',
    ],
    'cloud-processor/test/window/late-windows.test.ts',
    'a correction leaves the mark of a window as it is',
  ),
  bug(
    'late-order-within-record',
    'readings of one late record are compared one by one',
    [`${PROCESSOR}: LateWindows.#merge`, 'order <= through', 'order <= Math.max(through, newest)'],
    'cloud-processor/test/window/early-seal.test.ts',
    'more open windows than there is room for readings of each window equal the ledger, whatever comes in whatever order, across restarts',
  ),
  bug(
    'seals-one-lateness-early',
    'windows are sealed at the watermark',
    [
      `${PROCESSOR}: GatewayWindows.advance`,
      'watermark - this.#config.allowedLateness',
      'watermark - 0 * this.#config.allowedLateness',
    ],
    'cloud-processor/test/window/early-seal.test.ts',
    'more open windows than there is room for a day of allowed lateness loses no reading: the oldest windows are sealed early',
  ),
  bug(
    'window-end-inclusive',
    'a window is sealed one step late',
    [`${PROCESSOR}: GatewayWindows.advance`, 'pane.end <= sealedTo', 'pane.end < sealedTo'],
    'cloud-processor/test/window/window-operator.test.ts',
    'sealing with a watermark of 90000 ms the first minute gives 1 windows',
  ),
  bug(
    'lost-range-forgotten',
    'what was lost is forgotten when the watermark has passed it',
    [
      `${PROCESSOR}: GatewayWindows.advance`,
      'this.#lost.forget(sealedTo - this.#config.lostKept);',
      'this.#lost.forget(sealedTo);',
    ],
    'cloud-processor/test/window/window-operator.test.ts',
    'incomplete windows are those too that late readings begin where readings were lost 691200000 ms behind the seal: true',
  ),
  bug(
    'loss-without-end',
    'an unknown loss marks no window that opens later',
    [`${PROCESSOR}: GatewayWindows.lose`, 'this.#lostSince ??= this.#sealedTo;', ''],
    'cloud-processor/test/window/window-operator.test.ts',
    'incomplete windows of lost readings at unknown times are all from the seal up to the next record',
  ),
  bug(
    'newer-removed-by-older',
    'confirming an older value takes a newer one along',
    [
      `${PROCESSOR}: Outbox.settle`,
      'this.#entries.get(entry.key) === entry',
      'this.#entries.get(entry.key) !== undefined',
    ],
    'cloud-processor/test/write/outbox.test.ts',
    'outbox keeps a newer value that came while the older one was being sent',
  ),
  bug(
    'windows-before-anomalies',
    'windows are sent before anomalies',
    [`${PROCESSOR}: Outbox.#makeReady`, "entry.table === 'anomaly'", "entry.table === 'window'"],
    'cloud-processor/test/write/outbox.test.ts',
    'outbox sends first values at once, anomalies before windows',
  ),
  bug(
    'landing-forgotten',
    'a request whose outcome is not known counts as over at once',
    [`${PROCESSOR}: Outbox.mayLandUntil`, 'until <= now', 'until >= now'],
    'cloud-processor/test/write/outbox.test.ts',
    'keeps waiting for a request that may land while it waits for another one',
  ),
  bug(
    'checkpoint-without-previous',
    'only the newest checkpoint is kept',
    [
      `${PROCESSOR}: CheckpointFile.save`,
      'await link(this.path, second);\n      await rename(second, this.#previous);',
      'await link(this.path, second);',
    ],
    'cloud-processor/test/checkpoint/checkpoint-file.test.ts',
    'checkpoint file keeps the one before, and leaves no temporary file',
  ),
  bug(
    'checkpoint-of-another-partition',
    'a checkpoint of another partition is taken',
    [
      `${PROCESSOR}: CheckpointFile.#decode`,
      'state.partition !== this.#partition',
      'state.partition < 0 * this.#partition',
    ],
    'cloud-processor/test/checkpoint/checkpoint-file.test.ts',
    'checkpoint file of another partition is not taken',
  ),
  bug(
    'damaged-checkpoint-kept',
    'a damaged checkpoint becomes the one before',
    [`${PROCESSOR}: CheckpointFile.load`, 'await rename(this.path, this.#damaged);', ''],
    'cloud-processor/test/checkpoint/checkpoint-file.test.ts',
    'checkpoint file a damaged one is put aside, and never takes the place of the one before',
  ),
  bug(
    'reprocess-overwrites-newer',
    'reprocess replaces a window that holds more readings',
    [
      PROCESSOR,
      'newest !== undefined && newest.aggregate.n > row.aggregate.n',
      'newest !== undefined && newest.aggregate.n < 0 * row.aggregate.n',
    ],
    'cloud-processor/test/reprocess/compare-windows.test.ts',
    'leaves a stored window alone that holds more readings',
  ),
  bug(
    'reprocess-behind-the-store',
    'reprocess writes a window that is behind the stored one',
    [
      PROCESSOR,
      'newest !== undefined && throughOf(newest) > throughOf(row)',
      'newest !== undefined && throughOf(newest) < 0 * throughOf(row)',
    ],
    'cloud-processor/test/reprocess/compare-windows.test.ts',
    'leaves a stored window alone that holds a later record',
  ),
  bug(
    'replay-astray-is-trusted',
    'reprocess makes windows of records in another order than they were taken in',
    [`${PROCESSOR}: Replay.isWhole`, '!gateway.isAstray', 'gateway !== undefined'],
    'cloud-processor/test/reprocess/replay.test.ts',
    'that meets records in another order than they were taken in makes no window of what follows',
  ),
  bug(
    'episode-of-another-hour',
    'verify counts an anomaly in the hour in which it was told',
    [`${PROCESSOR}: EpisodeComparer.#tally`, 'of(row.openedAt)', 'of(row.detectedAt)'],
    'cloud-processor/test/verify/compare-episodes.test.ts',
    'an episode counts in the hour in which it opened',
  ),
];
