import { readdir, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';

import { findLockHolder, systemCodeOf } from '@floorwatch/runtime';

import type { AgentConfig } from '../config.ts';

/** A log in the data folder. */
export interface StoredLog {
  readonly name: string;
  readonly directory: string;
  readonly bytesMax: number;
}

/** Where the agent keeps what must not be lost. */
export interface Storage {
  readonly directory: string;
  readonly durability: 'power' | 'process';
  readonly profile: 'standard' | 'sd-card';
  readonly logs: readonly StoredLog[];
  /** How much more the logs may take than they do now. */
  growthBytesMax(): Promise<number>;
}

/** The data folder of a configuration. */
export function storageOf(config: AgentConfig): Storage {
  const { dataDir, durability, profile, journalBytesMax, anomaly, telemetry } = config.storage;
  const directory = resolve(dataDir);
  const log = (name: string, bytesMax: number): StoredLog => ({ name, directory: join(directory, name), bytesMax });
  const logs = [
    log('journal', journalBytesMax),
    log('anomaly', anomaly.bytesMax),
    log('telemetry', telemetry.bytesMax),
    log('quarantine', config.readings.quarantineBytesMax),
  ];
  return {
    directory,
    durability,
    profile,
    logs,
    async growthBytesMax() {
      const growths = await Promise.all(
        logs.map(async (one) => Math.max(0, one.bytesMax - (await bytesIn(one.directory)))),
      );
      return growths.reduce((sum, growth) => sum + growth, 0);
    },
  };
}

/**
 * Which process uses the data folder.
 *
 * @returns undefined: none does. `unknown`: this user may not know.
 */
export async function storageHolder(
  config: AgentConfig,
): Promise<{ readonly pid: number | undefined } | undefined | 'unknown'> {
  try {
    return await findLockHolder(storageOf(config).directory);
  } catch (error) {
    const code = systemCodeOf(error);
    if (code === 'EACCES' || code === 'EPERM') return 'unknown';
    throw error;
  }
}

/** Bytes of the files in a folder; 0 if it is not there. */
async function bytesIn(directory: string): Promise<number> {
  const names = await readdir(directory).catch(() => []);
  const sizes = await Promise.all(
    names.map(async (name) =>
      stat(join(directory, name)).then(
        ({ size }) => size,
        () => 0,
      ),
    ),
  );
  return sizes.reduce((sum, size) => sum + size, 0);
}
