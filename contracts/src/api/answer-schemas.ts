import { z } from 'zod';

import { moving, pageOf, sensorRef } from './answer.ts';
import {
  gatewayAlarmSchema,
  gatewayRowSchema,
  gatewaySchema,
  liveSchemas,
  rollupPointSchema,
  sensorSchema,
  siteSchema,
  sparklineSchema,
} from './floor.ts';
import {
  deadLetterSchema,
  deadLetterSummarySchema,
  reprocessSchema,
  retentionSchema,
  settledSchema,
} from './maintenance.ts';
import {
  aboutSchema,
  bareHealthSchema,
  failureSchema,
  healthSchema,
  processorSchema,
  unavailableSchema,
  unsupportedSchema,
  wrongParameterSchema,
} from './processor.ts';
import { verifySchema } from './verify.ts';
import { anomalyRowSchema, exportedWindowSchema, exportEndSchema, exportErrorSchema, windowSchema } from './windows.ts';

/**
 * The answers of the API by their names in the served description, which is made of them; the types are inferred from them. They are
 * strict, so that a test finds a field that nobody described; the description does not forbid more fields, because later releases may add
 * some. Nothing is checked with them while a program runs.
 */
export const answerSchemas = {
  SensorRef: sensorRef,
  MovingStatistics: moving,
  Anomaly: anomalyRowSchema,
  Anomalies: pageOf(anomalyRowSchema),
  Window: windowSchema,
  Windows: pageOf(windowSchema),
  ExportedWindow: exportedWindowSchema,
  ExportEnd: exportEndSchema,
  ExportError: exportErrorSchema,
  WindowLine: z.union([exportedWindowSchema, exportEndSchema, exportErrorSchema]),
  AnomalyLine: z.union([anomalyRowSchema, exportEndSchema, exportErrorSchema]),
  GatewayReport: gatewayRowSchema,
  GatewayAlarm: gatewayAlarmSchema,
  Gateway: gatewaySchema,
  Site: siteSchema,
  Sites: pageOf(siteSchema),
  Sensor: sensorSchema,
  Sensors: pageOf(sensorSchema),
  RollupPoint: rollupPointSchema,
  Rollups: pageOf(rollupPointSchema),
  Sparkline: sparklineSchema,
  Sparklines: pageOf(sparklineSchema),
  Health: healthSchema,
  BareHealth: bareHealthSchema,
  About: aboutSchema,
  Processor: processorSchema,
  DeadLetterSummary: deadLetterSummarySchema,
  DeadLetters: pageOf(deadLetterSummarySchema),
  DeadLetter: deadLetterSchema,
  Settled: settledSchema,
  Reprocess: reprocessSchema,
  Retention: retentionSchema,
  Verify: verifySchema,
  LiveSensors: liveSchemas.sensors,
  LiveRollups: liveSchemas.rollups,
  LiveReset: liveSchemas.reset,
  LiveHeartbeat: liveSchemas.heartbeat,
  Failure: failureSchema,
  WrongParameter: wrongParameterSchema,
  Unsupported: unsupportedSchema,
  Unavailable: unavailableSchema,
} as const satisfies Readonly<Record<string, z.ZodType>>;

export type AnswerName = keyof typeof answerSchemas;
