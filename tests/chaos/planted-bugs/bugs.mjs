/**
 * Bugs that would break the promise, each with the test that must fail for it. Texts to find must occur once, so that a change of the code
 * they stand in is noticed.
 */
export const plantedBugs = [];
