export { type LocalOptions, readOptions } from './options.ts';
export { runLocalFloor } from './local-floor.ts';
