import type { Check } from '../check.ts';
import { checkAgent } from './agent.ts';
import { checkBroker } from './broker.ts';
import { checkClock } from './clock.ts';
import { checkConfiguration } from './configuration.ts';
import { checkDataFolder } from './data-folder.ts';
import { checkDiskHealth } from './disk-health.ts';
import { checkFiles } from './files.ts';
import { checkLogs } from './logs.ts';
import { checkMemory } from './memory.ts';
import { checkNats } from './nats.ts';
import { checkNode } from './node.ts';
import { checkProcessor } from './processor.ts';
import { checkReadings } from './readings.ts';
import { checkSpool } from './spool.ts';

/** All checks in the order in which they run: from what everything rests on to what comes last on a reading's way. */
export const CHECKS: readonly Check[] = [
  checkConfiguration,
  checkFiles,
  checkNode,
  checkMemory,
  checkClock,
  checkAgent,
  checkDataFolder,
  checkDiskHealth,
  checkLogs,
  checkBroker,
  checkReadings,
  checkSpool,
  checkNats,
  checkProcessor,
];
