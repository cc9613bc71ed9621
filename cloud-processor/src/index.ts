export { Pipeline } from './pipeline.ts';
export { type ProcessorConfig, processorConfigSchema } from './config.ts';
export type { FloorObserver, OpenWindows } from './floor-observer.ts';
export { type StoreConfig, storeConfigSchema } from './write/store-config.ts';
export { createStore } from './write/create-store.ts';
export { type SetUpStep, setUpStore } from './write/set-up.ts';
export { type Store, StoreError, type StoreErrorCode } from './write/store.ts';
