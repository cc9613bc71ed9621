import type { HostileCase } from '../harness/hostile-case.ts';
import { ghostSubscription } from './ghost-subscription.ts';
import { mutatedPackets } from './mutated-packets.ts';
import { sessions } from './sessions.ts';
import { stalledSubscriber } from './stalled-subscriber.ts';
import { subscriptions } from './subscriptions.ts';

/** In the order in which they attack the same agent. */
export const HOSTILE_CASES: readonly HostileCase[] = [
  mutatedPackets,
  ghostSubscription,
  stalledSubscriber,
  sessions,
  subscriptions,
];
