export { ChildProgram } from './child-program.ts';
export { fetchAgain } from './fetch-again.ts';
export { loopTime } from './loop-time.ts';
export { datasetPath, programs, repositoryRoot } from './repository.ts';
export { onboardInfluxd, Resources, resourcesPerSuite, resourcesPerTest } from './resources.ts';
export { skippedIf } from './skipped-if.ts';
export { waitFor } from './wait-for.ts';
