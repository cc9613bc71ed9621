import { MemoryFileSystem } from '../../../segment-log/test/memory-file-system.ts';
import { DiskLaneSpool } from '../../src/spool/disk-lane-spool.ts';
import { laneSpoolContract, type LaneSpoolSubject } from './lane-spool-contract.ts';

const KIB = 1024;

laneSpoolContract('on disk', (): LaneSpoolSubject => {
  let disk = new MemoryFileSystem();
  let spool: DiskLaneSpool | undefined;
  return {
    async open() {
      ({ spool } = await DiskLaneSpool.open({
        directory: 'lane',
        lane: 'telemetry',
        durability: 'power',
        bytesMax: 256 * KIB,
        segmentBytesMax: 32 * KIB,
        whenFull: 'drop-unsent',
        fileSystem: disk,
      }));
      return spool;
    },
    close: async () => spool?.close(),
    crash(how) {
      let odd = false;
      disk = how === 'kill' ? disk.afterKill() : disk.afterPowerCut((change) => ((odd = !odd) ? change : undefined));
    },
    fail(after, code) {
      let left = after;
      disk.fault = (operation) => {
        if (operation === 'read' || left-- > 0) return;
        throw Object.assign(new Error(code), { code });
      };
    },
    heal: () => (disk.fault = () => {}),
  };
});
