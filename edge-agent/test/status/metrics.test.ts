import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { describe, expect, it } from 'vitest';

import { repositoryRoot } from '../../../tests/support/index.ts';
import { DoorLog } from '../../src/ingest/door-log.ts';
import { CommitTimes } from '../../src/status/commit-times.ts';
import { METRICS } from '../../src/status/metric-list.ts';
import { Metrics, PREFIX } from '../../src/status/metrics.ts';
import { at, healthyView, laneOf } from './views.ts';

const names = METRICS.map(({ name }) => PREFIX + name);

describe('metrics', () => {
  it('tell what the agent tells, in base units', async () => {
    const text = await new Metrics(new CommitTimes()).render(healthyView());
    for (const line of [
      'readings_received_total 1000',
      'journal_items 500',
      `journal_oldest_timestamp_seconds ${at / 1_000 - 60}`,
      'journal_sync_failures_total 0',
      'snapshot_pause_seconds 0.003',
      'replay_items 200',
      'refusing 0',
      'floor_number{lane="telemetry"} 10',
      'uncommitted_bytes_max{lane="anomaly"} 67108864',
      'alarms{kind="identity"} 0',
    ]) {
      expect(text).toContain(`\n${PREFIX}${line}\n`);
    }
  });

  it('count what is refused at the door by reason, and nothing where the broker is another', async () => {
    const view = healthyView();
    const log = new DoorLog();
    log.note('taken-over', 'a');
    const text = await new Metrics(new CommitTimes()).render({ ...view, broker: { ...view.broker, door: log.view() } });
    expect(text).toContain(`\n${PREFIX}broker_door_total{reason="taken-over"} 1\n`);
    expect(text).toContain(`\n${PREFIX}broker_door_total{reason="not-mqtt"} 0\n`);
    expect(await new Metrics(new CommitTimes()).render(view)).not.toContain(`${PREFIX}broker_door_total{`);
  });

  it('have no sample for what is not known', async () => {
    const { snapshot } = healthyView();
    const view = healthyView({ snapshot: { ...snapshot, at: null } });
    const lane = laneOf({ floor: null, oldestUnsentAt: null });
    const text = await new Metrics(new CommitTimes()).render({ ...view, lanes: { anomaly: lane, telemetry: lane } });
    expect(text).not.toMatch(/^floorwatch_agent_(snapshot_timestamp|floor_(number|heard)|spool_oldest)/m);
    expect(text).toMatch(/^floorwatch_agent_spool_bytes\{lane="anomaly"\} /m);
  });

  it('count how long commits take, log by log', async () => {
    const times = new CommitTimes();
    const metrics = new Metrics(times);
    for (const durationMs of [0.2, 4, 4_000]) times.observer('journal')({ durationMs });
    times.observer('anomaly')({ durationMs: 40 });
    const text = await metrics.render(healthyView());
    expect(text).toContain('floorwatch_agent_commit_seconds_bucket{le="0.0003",log="journal"} 1\n');
    expect(text).toContain('floorwatch_agent_commit_seconds_bucket{le="0.01",log="journal"} 2\n');
    expect(text).toContain('floorwatch_agent_commit_seconds_count{log="journal"} 3\n');
    expect(text).toContain('floorwatch_agent_commit_seconds_sum{log="anomaly"} 0.04\n');
  });

  it('each has a name of its own, and a line in the documentation', async () => {
    expect(new Set(names).size).toBe(names.length);
    const page = await readFile(join(repositoryRoot, 'docs/agent-metrics.md'), 'utf8');
    const told = [...page.matchAll(/`(floorwatch_agent_\w+)(?:\{\w+\})?`/g)].map(([, name]) => name);
    expect(new Set(told)).toEqual(new Set([...names, `${PREFIX}commit_seconds`]));
  });
});
