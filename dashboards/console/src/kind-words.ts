import { formatTerm } from './format.ts';

/** What the kinds of anomaly are called; `docs/kinds` says what they mean. */
const KINDS: Readonly<Record<string, string>> = {
  'above-limit': 'Above its limit',
  'below-limit': 'Below its limit',
  'above-band': 'Above its usual band',
  'below-band': 'Below its usual band',
  'new-value': 'A value never seen before',
  'new-change': 'A change never seen before',
  'new-for-hour': 'Unusual at this hour',
  'jump-up': 'A jump up',
  'jump-down': 'A jump down',
  'fast-change': 'Changes faster than usual',
  'off-average': 'Off its short average',
  pulse: 'A pulse',
  stuck: 'The same value again and again',
  silent: 'Sends nothing',
  noisy: 'More noise than usual',
  clock: 'Times gone back',
  'out-of-range': 'Not a possible value',
  'too-fast': 'Faster than possible',
  unit: 'Another unit',
};

/** A kind of anomaly as a person reads it; of a newer release's kind its own term. */
export const formatKind = (kind: string): string => KINDS[kind] ?? formatTerm(kind);
