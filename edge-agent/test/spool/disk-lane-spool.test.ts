import { type Change, MemoryFileSystem } from '../../../segment-log/test/memory-file-system.ts';
import { DiskLaneSpool } from '../../src/spool/disk-lane-spool.ts';
import { laneSpoolContract, type LaneSpoolSubject } from './lane-spool-contract.ts';

const KIB = 1024;

laneSpoolContract('on disk', (): LaneSpoolSubject => {
  let disk = new MemoryFileSystem();
  let spool: DiskLaneSpool | undefined;
  let failed: { readonly kill: MemoryFileSystem; readonly power: MemoryFileSystem } | undefined;
  const afterCrash = (how: 'kill' | 'power'): MemoryFileSystem => {
    let count = 0;
    // Of what was not synced, the disk has got some, a part, and nothing, in turn.
    const torn = (change: Change): Change | undefined => {
      count += 1;
      if (count % 3 === 0 || change.kind === 'truncate') return count % 3 === 1 ? undefined : change;
      return count % 3 === 1 ? { ...change, bytes: change.bytes.subarray(0, change.bytes.length / 2) } : undefined;
    };
    return how === 'kill' ? disk.afterKill() : disk.afterPowerCut(torn);
  };
  return {
    async open() {
      ({ spool } = await DiskLaneSpool.open({
        directory: 'lane',
        lane: 'telemetry',
        durability: 'power',
        bytesMax: 128 * KIB,
        segmentBytesMax: 32 * KIB,
        whenFull: 'drop-unsent',
        fileSystem: disk,
      }));
      return spool;
    },
    close: async () => spool?.close(),
    crash(how) {
      disk = failed?.[how] ?? afterCrash(how);
      failed = undefined;
    },
    fail(after, code) {
      let left = after;
      disk.fault = (operation) => {
        if (operation === 'read' || left-- > 0) return;
        // Also what the disk held at that moment, for a crash right there.
        failed ??= { kill: afterCrash('kill'), power: afterCrash('power') };
        throw Object.assign(new Error(code), { code });
      };
    },
    heal() {
      disk.fault = () => {};
      failed = undefined;
    },
  };
});
