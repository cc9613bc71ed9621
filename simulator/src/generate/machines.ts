import type { ProcessSignal, SignalSpec } from '../sensor.ts';

/** What a metric is on a kind of machine, before each machine gets its own slightly different figures. */
export interface MetricSpec {
  readonly metric: string;
  readonly unit: string;
  readonly intervalMs: number;
  readonly low: number;
  readonly high: number;
  readonly resolution: number;
  readonly signal: SignalSpec;
}

/** A kind of machine; its devices are called `<name>-01`, `<name>-02` and so on. */
export interface MachineKind {
  readonly name: string;
  readonly metrics: readonly MetricSpec[];
}

type Process = Partial<Omit<ProcessSignal, 'kind'>> & Pick<ProcessSignal, 'base' | 'noise'>;

const process = (spec: Process): ProcessSignal => ({
  kind: 'process',
  loadGain: 0,
  loadLagMs: 1_000,
  dayAmplitude: 0,
  rippleAmplitude: 0,
  ripplePeriodMs: 20_000,
  noiseMemoryMs: 4_000,
  ...spec,
});

const vibration = (spec: Process): MetricSpec => ({
  metric: 'vibration',
  unit: 'mm/s',
  intervalMs: 500,
  low: 0,
  high: 50,
  resolution: 0.01,
  signal: process({ noiseMemoryMs: 1_000, ...spec }),
});
const current = (spec: Process): MetricSpec => ({
  metric: 'current',
  unit: 'A',
  intervalMs: 500,
  low: 0,
  high: 250,
  resolution: 0.1,
  signal: process({ noiseMemoryMs: 2_000, ...spec }),
});
const pressure = (spec: Process, high = 25): MetricSpec => ({
  metric: 'pressure',
  unit: 'bar',
  intervalMs: 1_000,
  low: 0,
  high,
  resolution: 0.01,
  signal: process(spec),
});
const flow = (spec: Process): MetricSpec => ({
  metric: 'flow',
  unit: 'L/min',
  intervalMs: 1_000,
  low: 0,
  high: 400,
  resolution: 0.1,
  signal: process(spec),
});
/** Heat is slow: the load acts within minutes. */
const temperature = (spec: Process, high = 150): MetricSpec => ({
  metric: 'temperature',
  unit: '°C',
  intervalMs: 1_000,
  low: -20,
  high,
  resolution: 0.1,
  signal: process({ loadLagMs: 8 * 60_000, noiseMemoryMs: 15_000, ...spec }),
});
const humidity = (spec: Process): MetricSpec => ({
  metric: 'humidity',
  unit: '%RH',
  intervalMs: 2_000,
  low: 0,
  high: 100,
  resolution: 0.1,
  signal: process({ noiseMemoryMs: 20_000, ...spec }),
});
const cycleCount = (perMinute: number): MetricSpec => ({
  metric: 'cycle-count',
  unit: 'cycles',
  intervalMs: 1_000,
  low: 0,
  high: 1e12,
  resolution: 1,
  signal: { kind: 'counter', perMinute },
});

/** A floor takes machines from this list in turn. Figures are typical of mid-size machines; none is a particular product's. */
export const MACHINE_KINDS: readonly MachineKind[] = [
  {
    name: 'press',
    metrics: [
      vibration({ base: 2.1, loadGain: 1.2, rippleAmplitude: 0.25, ripplePeriodMs: 6_000, noise: 0.16 }),
      current({ base: 24, loadGain: 38, rippleAmplitude: 2.5, ripplePeriodMs: 6_000, noise: 1.1 }),
      pressure({ base: 92, loadGain: 46, rippleAmplitude: 2, ripplePeriodMs: 6_000, noise: 1.3 }, 400),
      temperature({ base: 34, loadGain: 18, dayAmplitude: 1.5, noise: 0.2 }),
      cycleCount(22),
    ],
  },
  {
    name: 'pump',
    metrics: [
      flow({ base: 46, loadGain: 110, noise: 1.4 }),
      pressure({ base: 3.4, loadGain: 2.2, noise: 0.04 }),
      vibration({ base: 1.3, loadGain: 0.9, noise: 0.1 }),
      current({ base: 6, loadGain: 11, noise: 0.3 }),
      temperature({ base: 31, loadGain: 14, dayAmplitude: 1, noise: 0.15 }),
    ],
  },
  {
    name: 'oven',
    metrics: [
      temperature({ base: 176, loadGain: 9, rippleAmplitude: 0.6, ripplePeriodMs: 90_000, noise: 0.25 }, 400),
      current({ base: 58, loadGain: 44, rippleAmplitude: 3, ripplePeriodMs: 90_000, noise: 1.2 }),
      humidity({ base: 14, loadGain: 3, loadLagMs: 5 * 60_000, noise: 0.2 }),
    ],
  },
  {
    name: 'compressor',
    metrics: [
      pressure({ base: 6.6, loadGain: 0.9, rippleAmplitude: 0.12, ripplePeriodMs: 40_000, noise: 0.03 }),
      current({ base: 31, loadGain: 27, noise: 0.7 }),
      vibration({ base: 2.6, loadGain: 1.4, noise: 0.18 }),
      temperature({ base: 52, loadGain: 21, dayAmplitude: 2, noise: 0.25 }),
    ],
  },
  {
    name: 'tank',
    metrics: [
      {
        metric: 'level',
        unit: '%',
        intervalMs: 1_000,
        low: 0,
        high: 100,
        resolution: 0.05,
        signal: { kind: 'tank', cycleMs: 50 * 60_000, noise: 0.12 },
      },
      temperature({ base: 18, dayAmplitude: 1.5, noise: 0.1 }),
      flow({ base: 22, loadGain: 60, noise: 0.9 }),
    ],
  },
  {
    name: 'packer',
    metrics: [
      cycleCount(64),
      current({ base: 4.2, loadGain: 5.5, rippleAmplitude: 0.4, ripplePeriodMs: 5_000, noise: 0.2 }),
      vibration({ base: 0.9, loadGain: 0.8, noise: 0.08 }),
    ],
  },
  {
    name: 'chiller',
    metrics: [
      temperature({ base: 5.2, loadGain: 2.4, dayAmplitude: 0.6, noise: 0.1 }),
      flow({ base: 70, loadGain: 64, noise: 1.1 }),
      pressure({ base: 9.8, loadGain: 3.6, noise: 0.08 }),
      current({ base: 18, loadGain: 21, noise: 0.6 }),
    ],
  },
  {
    name: 'hall',
    metrics: [
      temperature({ base: 21, dayAmplitude: 3, noise: 0.1 }, 60),
      humidity({ base: 46, dayAmplitude: -6, noise: 0.3 }),
    ],
  },
];
