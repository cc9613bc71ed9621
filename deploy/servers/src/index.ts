export { type FindOptions, findServer, lookForServer, lookForVersions } from './find-server.ts';
export { freePort, isFreePort } from './free-port.ts';
export { spawnGuarded } from './guarded-child.ts';
export { startInfluxd } from './influxd.ts';
export type { LoopbackServer, LoopbackServerOptions } from './loopback-server.ts';
export { type NatsServerOptions, startNatsServer } from './nats-server.ts';
export { type FoundServer, SERVER_NAMES, type ServerName } from './server-program.ts';
export { describeExit, type ServerExit, type ServerLaunch, ServerProcess, ServerStartError } from './server-process.ts';
