import { forbidPrograms } from './forbid-programs.ts';

// Runs before every file of unit tests, several of which share a process.
const guarded = Symbol.for('floorwatch.unit-guard');
const world = globalThis as { [guarded]?: boolean };
if (world[guarded] !== true) forbidPrograms();
world[guarded] = true;
