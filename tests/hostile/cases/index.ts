import type { HostileCase } from '../harness/hostile-case.ts';
import { floods } from './floods.ts';
import { ghostSubscription } from './ghost-subscription.ts';
import { idleConnections } from './idle-connections.ts';
import { logins } from './logins.ts';
import { mutatedPackets } from './mutated-packets.ts';
import { sessions } from './sessions.ts';
import { stalledSubscriber } from './stalled-subscriber.ts';
import { subscriptions } from './subscriptions.ts';
import { takeOvers } from './take-overs.ts';

/** In the order in which they attack the same agent. */
export const HOSTILE_CASES: readonly HostileCase[] = [
  mutatedPackets,
  ghostSubscription,
  stalledSubscriber,
  sessions,
  subscriptions,
  logins,
  takeOvers,
  idleConnections,
  floods,
];
