export { Condition } from './condition.ts';
export { explainProblems, loadConfig } from './config-file.ts';
export { EXIT, messageOf, StartError, type StartErrorCode, systemCodeOf } from './errors.ts';
export { loopbackNamesOnly, programsOnly, refuseOtherMethods } from './http-guards.ts';
export {
  bearerAuth,
  type HttpConfig,
  httpConfigSchema,
  type HttpServer,
  httpToken,
  isLoopback,
  listen,
  serveHttp,
} from './http-server.ts';
export { lockDataFolder } from './lock-data-folder.ts';
export { createLogger, type Logger, type LogLevel, logLevelSchema } from './logger.ts';
export { makeFolder } from './make-folder.ts';
export { defineMetrics, type Metric, type Sample } from './metrics.ts';
export { connectNats, type NatsConfig, natsConfigSchema, natsConnectionOptions } from './nats.ts';
export {
  findLockHolder,
  type LockAttempt,
  PROCESS_LOCK_NAME,
  type ProcessLock,
  takeProcessLock,
} from './process-lock.ts';
export { runProgram } from './program.ts';
export { retryDelay, type RetrySchedule } from './retry-delay.ts';
export { readSecret } from './secret.ts';
export { readTlsFiles, type TlsFiles, tlsFilesSchema, type TlsTexts } from './tls-files.ts';
export { VERSION } from './version.ts';
export { pause, unlessAborted } from './waiting.ts';
