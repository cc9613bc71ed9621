import { MemoryLaneLog } from '../../src/spool/memory-lane-log.ts';
import { laneLogContract } from './lane-log-contract.ts';

laneLogContract('in memory', (bytesMax) => new MemoryLaneLog(bytesMax));
