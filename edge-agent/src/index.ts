export { type AgentConfig, agentConfigSchema } from './config.ts';
export { detectOffline } from './detect-offline.ts';
export { type Leftover, Pipeline } from './pipeline.ts';
export { type EngineConfig, engineConfigSchema } from './sensor-engine-config.ts';
export { type EngineOutput, type EpisodeEvent, SensorEngine, type SensorState } from './sensor-engine.ts';
