import type { PlantedBug } from '../planted-bugs/place.mjs';

export const plantedBugs: readonly PlantedBug[];
