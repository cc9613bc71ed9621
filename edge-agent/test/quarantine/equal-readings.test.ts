import { describe, expect, it } from 'vitest';

import { resourcesPerTest } from '../../../tests/support/index.ts';
import { Intake } from '../../src/ingest/intake.ts';
import type { RawMessage } from '../../src/ingest/raw-message.ts';
import { Quarantine } from '../../src/quarantine/quarantine.ts';
import { clock, Connection, intakeConfig, NOW } from '../ingest/repeating-devices.ts';

const page = { limit: 1_000 };
/** A clock that was never set shows this again after every start of its device. */
const wrong = { value: 21.5, ts: 0 };

describe('equal readings with a time that cannot be right', () => {
  const resources = resourcesPerTest();

  async function open(dataDir: string): Promise<{ quarantine: Quarantine; intake: Intake }> {
    const options = { dataDir, bytesMax: 1024 * 1024, durability: 'process', inFlightMax: 8 } as const;
    const quarantine = await Quarantine.open(options);
    resources.defer(async () => quarantine.close());
    return { quarantine, intake: new Intake(intakeConfig, quarantine) };
  }

  /** Takes messages as the input loop does. @returns how many readings were accepted. */
  async function take(
    { quarantine, intake }: Awaited<ReturnType<typeof open>>,
    ...messages: RawMessage[]
  ): Promise<number> {
    const taken = intake.take(messages, clock);
    await quarantine.append(taken.quarantined, taken.senders);
    intake.settled(taken, true);
    return taken.readings.length;
  }

  it('are as many in quarantine as came by one connection without DUP', async () => {
    const agent = await open(await resources.directory());
    const connection = new Connection('press');
    await take(agent, connection.message(1, wrong), connection.message(2, wrong));
    for (let id = 3; id <= 5; id++) await take(agent, connection.message(id, wrong));
    expect(agent.quarantine.view().items).toBe(5);
    await take(agent, connection.message(5, wrong, { isDup: true }));
    expect(agent.intake.counts).toMatchObject({ quarantined: 5, duplicates: 1 });
  });

  it('are repeated by the next connection, each once, also after a restart', async () => {
    const dataDir = await resources.directory();
    let agent = await open(dataDir);
    const first = new Connection('press');
    await take(agent, ...[1, 2, 3].map((id) => first.message(id, wrong)));
    first.cut();
    const second = new Connection('press');
    await take(agent, ...[1, 2, 3].map((id) => second.message(id, wrong, { isDup: true })), second.message(4, wrong));
    expect(agent.quarantine.view().items).toBe(4);
    await agent.quarantine.close();
    agent = await open(dataDir);
    const third = new Connection('press');
    await take(agent, ...[1, 2, 3, 4, 5].map((id) => third.message(id, wrong)));
    expect(agent.quarantine.view().items).toBe(5);
  });

  it('are all released, each once, although the release is cut short and done again', async () => {
    const dataDir = await resources.directory();
    const agent = await open(dataDir);
    const connection = new Connection('press');
    await take(agent, ...[1, 2, 3, 4, 5].map((id) => connection.message(id, wrong)));
    let accepted = 0;
    const submit = async (message: RawMessage): Promise<void> => {
      const readings = await take(agent, message);
      accepted += readings;
    };
    const how = { ...page, latest: NOW };
    const shift = { shiftMs: NOW - 60_000 };
    // The third one is safe, and its release does not come to know.
    let calls = 0;
    const breaking = async (message: RawMessage): Promise<void> => {
      calls += 1;
      const isThird = calls === 3;
      await submit(message);
      if (isThird) throw new Error('broken');
    };
    await expect(agent.quarantine.release({}, shift, { ...how, submit: breaking })).rejects.toThrow('broken');
    await agent.quarantine.release({}, shift, { ...how, submit });
    expect(accepted).toBe(5);
    expect(agent.quarantine.view().items).toBe(0);
  });
});
