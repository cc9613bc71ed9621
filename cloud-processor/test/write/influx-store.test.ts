import { createLogger } from '@floorwatch/runtime';
import { afterAll, beforeAll, describe } from 'vitest';

import { createStore } from '../../src/write/create-store.ts';
import { noInflux, startTestInflux, type TestInflux } from './influx-server.ts';
import { messageSeen } from './sample-rows.ts';
import { describeStore } from './store-contract.ts';

describe.skipIf(noInflux !== undefined)(`a real influxd${noInflux === undefined ? '' : ` (${noInflux})`}`, () => {
  let influx: TestInflux;
  beforeAll(async () => {
    influx = await startTestInflux();
  });
  afterAll(() => influx.stop());

  describeStore('InfluxDB', {
    runs: 30,
    async fresh(retentionDays) {
      const config = await influx.freshConfig(retentionDays);
      const make = () => createStore(config, createLogger('test', 'silent'), messageSeen(Date.now()));
      return { store: make(), again: make };
    },
  });
});
