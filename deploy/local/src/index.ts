export { runLocalFloor } from './local-floor.ts';
export { type LocalOptions, readOptions } from './options.ts';
export { Terminal } from './terminal.ts';
