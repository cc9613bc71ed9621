import { describeStore } from '../write/store-contract.ts';
import { MemoryStore } from './memory-store.ts';

describeStore('in memory, for tests', {
  async fresh(retentionDays) {
    return { store: new MemoryStore(retentionDays) };
  },
});
