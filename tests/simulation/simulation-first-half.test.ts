import { runSeeds } from './harness/run-seeds.ts';

runSeeds(0);
