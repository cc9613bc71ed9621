import type { HostileCase } from '../harness/hostile-case.ts';

const TAKE_OVERS = 300;

/** Two programs with one client id, which throw each other out without end. */
export const takeOvers: HostileCase = {
  name: 'take-overs',
  does: 'clients with one client id throw each other out',
  prepare:
    (_random, round) =>
    async ({ connect, refused }) => {
      const before = await refused('taken-over');
      for (let i = 0; i <= TAKE_OVERS; i++) await (await connect({ clientId: `twin-${round}` })).hears('connack');
      const count = (await refused('taken-over')) - before;
      if (count !== TAKE_OVERS) throw new Error(`${count} of ${TAKE_OVERS} take-overs were counted`);
    },
};
