import { type AnomalyRow, durationMs, epochMs, type Row, type SensorRef, sizeLabel } from '@floorwatch/contracts';

export const MINUTE = 60_000;

/** The end of the time range that the tests look at: a full hour, so that windows of every size end there. */
export const END = Math.floor(Date.now() / (60 * MINUTE)) * 60 * MINUTE;
/** Its start. */
export const START = END - 180 * MINUTE;

const SIZES = [MINUTE, 15 * MINUTE, 60 * MINUTE].map((size) => durationMs(size));

export const HOT: SensorRef = { site: 'plant-1', gateway: 'gw-1', device: 'press-01', metric: 'temperature' };
/** A name that would be read as Flux, as a variable of Grafana or as a regular expression if it were not escaped. */
export const ODD: SensorRef = {
  site: 'plant-1',
  gateway: 'gw-1',
  device: 'C:\\line "1" (a|b) ${size} $x',
  metric: 'flow, °',
};
export const SILENT: SensorRef = { site: 'plant-1', gateway: 'gw-2', device: 'pump-07', metric: 'pressure' };
export const ELSEWHERE: SensorRef = { site: 'Werk "Nord"', gateway: 'gw-1', device: 'press-01', metric: 'temperature' };

/** Rows of three hours as the processor writes them; `n` is 60 in every minute, the last value counts the windows. */
export function sampleFloor(): Row[] {
  const rows: Row[] = [];
  for (const sensor of [HOT, ODD, SILENT, ELSEWHERE]) {
    const end = sensor === SILENT ? END - 40 * MINUTE : END;
    for (const size of SIZES) {
      for (let start = START; start + size <= end; start += size) {
        const index = (start - START) / size;
        const n = 60 * (size / MINUTE);
        rows.push({
          table: 'window',
          sensor,
          ...(sensor === SILENT ? {} : { unit: '°C' }),
          size,
          start: epochMs(start),
          aggregate: {
            n,
            reference: 70,
            mean: 1,
            m2: 4 * n,
            min: 60,
            max: 80,
            last: index,
            lastAt: start + size - 1_000,
            anomalous: index === 5 ? 3 : 0,
            uncertain: 0,
          },
          moving: { countMean: 71.5, countSd: 2.5, timeMean: 70.5, timeSd: 1.5, ewMean: 71.25, ewSd: 2.25 },
          revision: 0,
          incomplete: sensor === ODD && index === 7,
        });
      }
    }
  }
  rows.push(
    anomaly(HOT, 'a', START + 30 * MINUTE, { severity: 'critical' }),
    anomaly(HOT, 'b', START + 40 * MINUTE, { phase: 'closed', closeReason: 'recovered' }),
    anomaly(ODD, 'c', START - 2 * 24 * 60 * MINUTE, { expected: { low: null, high: null } }),
    anomaly(ODD, 'd', START - 60 * MINUTE, { phase: 'closed', closeReason: 'recovered' }),
  );
  for (const size of SIZES) {
    rows.push({ table: 'late', sensor: HOT, size, start: epochMs(START + 60 * MINUTE), readings: 9 });
  }
  for (const sensor of [HOT, SILENT, ELSEWHERE]) {
    for (const at of [START + MINUTE, END - MINUTE]) {
      rows.push({
        table: 'gateway',
        site: sensor.site,
        gateway: sensor.gateway,
        at: epochMs(at),
        startedAt: epochMs(START),
        version: '0.1.0',
        configHash: 'cafebabe',
        clock: 'synchronised',
        sensors: at === END - MINUTE ? 2 : 1,
        counters: { readingsAccepted: 5 },
      });
    }
  }
  return rows;
}

function anomaly(sensor: SensorRef, letter: string, openedAt: number, more: Partial<AnomalyRow>): AnomalyRow {
  return {
    table: 'anomaly',
    phase: 'opened',
    id: letter.repeat(32),
    sensor,
    unit: '°C',
    detector: 'z-score',
    detectorVersion: 1,
    anomalyKind: 'above-normal',
    severity: 'warning',
    openedAt: epochMs(openedAt),
    eventTime: epochMs(openedAt + 5 * MINUTE),
    detectedAt: epochMs(openedAt),
    clock: 'synchronised',
    provenance: 'live',
    value: 91.5,
    worst: { value: 95, at: epochMs(openedAt), score: 9 },
    expected: { low: 65, high: 75 },
    score: 7.5,
    moving: { countMean: 71, countSd: 2, timeMean: null, timeSd: null, ewMean: null, ewSd: null },
    readings: 12,
    before: [],
    explanation: `episode ${letter}: 91.5 °C, expected 65 °C to 75 °C`,
    ...more,
  };
}

/** As the variables offer it: a backslash stands as a slash in tags. */
export const asTag = (name: string): string => name.replaceAll('\\', '/');

export const sizeLabels = SIZES.map((size) => sizeLabel(size));
