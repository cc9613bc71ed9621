import { formatTerm } from './format.ts';

/** A kind of anomaly as an operator reads it; `docs/kinds` says more, and how to tune it. */
export interface KindWords {
  readonly title: string;
  readonly meaning: string;
  readonly causes: string;
}

const LIMIT = {
  meaning: 'The value is beyond a limit that a person has set, and stays an anomaly until it is back.',
  causes:
    'the process itself, such as overheating, low pressure or an empty tank; a limit that was set for another product',
};
const BAND = {
  meaning:
    'The value is far from the mean of its last readings. This is how sensors are judged until enough of their history is known.',
  causes: 'a spike, a step to another level, the first change of load since the start',
};
const JUMP = {
  meaning: 'The value left the range of its last few readings by more than its largest jumps usually do.',
  causes: 'a spike, a step to another level, the return from one',
};

const KINDS: Readonly<Record<string, KindWords>> = {
  'above-limit': { title: 'Above its limit', ...LIMIT },
  'below-limit': { title: 'Below its limit', ...LIMIT },
  'above-band': { title: 'Above its usual band', ...BAND },
  'below-band': { title: 'Below its usual band', ...BAND },
  'new-value': {
    title: 'A value never seen before',
    meaning: 'The value is far from all that this sensor has shown so far, and it seldom shows anything new.',
    causes:
      'a fault of the process or the sensor; a rare but normal state, such as the first standstill or the first hot day',
  },
  'new-change': {
    title: 'A change never seen before',
    meaning: 'From one reading to the next the value changed more than it ever did.',
    causes: 'a step or spike, a loose contact, readings that were held back or skipped',
  },
  'new-for-hour': {
    title: 'Unusual at this hour',
    meaning: 'The value may be normal in itself, but not at this hour of the day (UTC).',
    causes:
      'a machine that runs when it should stand, or stands when it should run; heating that was not switched over; a holiday',
  },
  'jump-up': { title: 'A jump up', ...JUMP },
  'jump-down': { title: 'A jump down', ...JUMP },
  'fast-change': {
    title: 'Changes faster than usual',
    meaning: 'The change is large against the changes just before it.',
    causes: 'the end of a standstill or of a stuck value, a valve that opens',
  },
  'off-average': {
    title: 'Off its short average',
    meaning: 'The value is further from the average of its last few readings than it usually gets.',
    causes: 'a step, noise, an oscillation that begins',
  },
  pulse: {
    title: 'A pulse',
    meaning: 'One to three readings stood out and the value came back. The readings before this one show the pulse.',
    causes: 'a loose contact, interference, a wrong conversion of single readings, a short event of the machine',
  },
  stuck: {
    title: 'The same value again and again',
    meaning: 'The value has repeated itself for longer than this sensor usually does.',
    causes: 'a frozen transmitter, a value at the end of the sensor’s range, a machine that is off',
  },
  silent: {
    title: 'Sends nothing',
    meaning: 'The sensor has sent nothing for longer than it usually takes.',
    causes:
      'a flat battery, radio or cable trouble, a device that crashed or was unplugged; if all of a gateway are silent, the network between them',
  },
  noisy: {
    title: 'More noise than usual',
    meaning: 'The values change from reading to reading at least twice as much as usual, and lead nowhere.',
    causes: 'a loose contact, damaged shielding, a bearing that begins to fail, a control loop that oscillates',
  },
  clock: {
    title: 'Clock of the device wrong',
    meaning:
      'The readings carry earlier times than those before, and are not judged until they have caught up; or their times are steadily behind when they arrive.',
    causes:
      'a device whose clock drifts, or ran ahead and was set right; a change between local time and UTC; a backlog sent late',
  },
  'out-of-range': {
    title: 'Not a possible value',
    meaning:
      'The sensor cannot measure such a value, so it says something about the sensor and nothing about the process.',
    causes: 'a broken wire, a code such as −999 for “no value”, a wrong scaling or unit',
  },
  'too-fast': {
    title: 'Faster than possible',
    meaning: 'From one reading to the next the value changed faster than a person has said it can.',
    causes: 'loose contacts, lost or swapped bytes, two devices that publish under one name',
  },
  unit: {
    title: 'Another unit',
    meaning: 'The readings name another unit than before. They are kept apart, and averaged with nothing.',
    causes: 'a transmitter that was exchanged or reset, new firmware, two devices that publish under one name',
  },
};

/** What is known of a kind; undefined of one that only a newer release knows. */
export const kindWords = (kind: string): KindWords | undefined => KINDS[kind];

/** A kind of anomaly as a person reads it; of a newer release's kind its own term. */
export const formatKind = (kind: string): string => KINDS[kind]?.title ?? formatTerm(kind);
