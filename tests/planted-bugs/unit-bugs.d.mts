import type { PlantedBug } from './place.mjs';

export const plantedBugs: readonly PlantedBug[];
