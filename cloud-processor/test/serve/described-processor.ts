import path from 'node:path';

import { type ChildProgram, programs, type Resources, waitFor } from '../../../tests/support/index.ts';
import { anomaly, BASE, batchOf, messageOf, report, rollups, tick } from '../support/floor.ts';
import { configFile, connectPublisher, hasStream } from '../support/running.ts';

/** The sensor that the processor of {@link startDescribed} knows. */
export const SENSOR_ID = 'plant-1/gw-1/press-01/temperature';

/** A built processor that has something to answer at every address: readings, a closed episode, a report and two dead letters. */
export async function startDescribed(
  resources: Resources,
): Promise<{ readonly program: ChildProgram; readonly origin: string }> {
  const { url } = await resources.nats();
  const publisher = await connectPublisher(resources, url);
  // Rows are kept for a century, and not for ever.
  const store = {
    kind: 'duckdb',
    file: path.join(await resources.directory(), 'store.duckdb'),
    retentionDays: 36_500,
  };
  const program = resources.program(programs.processor, ['--config', await configFile(resources, url, { store })]);
  const [, origin = ''] = await program.printed(/"http":"(http:\/\/127\.0\.0\.1:\d+)"/);
  await waitFor('the stream exists', () => hasStream(publisher));
  const readings = Array.from({ length: 30 }, (_, i) => ({ sensor: i % 2, at: BASE + i * 10_000, value: i / 7 }));
  await publisher.publish(
    batchOf([rollups(1, readings), report(2, { readingsAccepted: 30 }), tick(3, BASE + 240_000)]),
  );
  await publisher.publish(batchOf([anomaly(1, 1, 'opened'), anomaly(2, 1, 'closed', 3)], { lane: 'anomaly' }));
  const { subject } = messageOf(batchOf([tick(1, BASE)]), 1);
  await publisher.client.publish(subject, 'no JSON');
  await publisher.client.publish(subject, 'nor this');
  return { program, origin };
}
