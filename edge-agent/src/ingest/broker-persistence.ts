import { Readable } from 'node:stream';

import type { SessionClient, Sessions } from './sessions.ts';

interface Identified {
  readonly messageId?: number;
}

/**
 * What aedes asks of its store. Its own store keeps whole messages, of every session, without a limit; here {@link Sessions} keeps what is needed
 * within limits. Nothing is retained and nothing is kept for absent subscribers; a last will lives as long as its connection.
 */
export function brokerPersistence(sessions: Sessions): object {
  const nothing = async (): Promise<void> => undefined;
  const empty = (): Readable => Readable.from([]);
  return {
    setup: nothing,
    // Filters are remembered where they are granted, by `authorizeSubscribe`.
    addSubscriptions: nothing,
    removeSubscriptions: async (client: SessionClient, filters: readonly string[]): Promise<void> =>
      sessions.unsubscribe(client, filters),
    subscriptionsByClient: async ({ id }: SessionClient): Promise<object[]> =>
      sessions.filtersOf(id).map((topic) => ({ topic, qos: 0 })),
    cleanSubscriptions: async ({ id }: SessionClient): Promise<void> => sessions.forget(id, 'filters'),
    incomingStorePacket: async (client: SessionClient, { messageId = 0 }: Identified): Promise<void> => {
      if (!sessions.begin(client, messageId)) throw new Error('too many messages of QoS 2 are unfinished');
    },
    incomingGetPacket: async (client: SessionClient, { messageId = 0 }: Identified): Promise<object> => {
      if (!sessions.isUnfinished(client, messageId)) throw new Error('no such packet');
      return { messageId };
    },
    incomingDelPacket: async (client: SessionClient, { messageId = 0 }: Identified): Promise<void> => {
      if (!sessions.finish(client, messageId)) throw new Error('no such packet');
    },
    cleanIncoming: async ({ id }: SessionClient): Promise<void> => sessions.forget(id, 'unfinished'),
    // Subscribers are served at QoS 0, so nothing is on its way to them.
    outgoingStream: empty,
    outgoingUpdate: nothing,
    outgoingClearMessageId: nothing,
    createRetainedStreamCombi: empty,
    putWill: nothing,
    delWill: nothing,
    streamWill: empty,
  };
}
