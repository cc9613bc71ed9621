// A broker of someone else's: what the agent meets when it is configured with `broker.kind: external`.
// Prints its port, and runs until it is killed or its parent is gone.
import { createServer } from 'node:net';

import { Aedes } from 'aedes';

const port = Number(process.argv[2] ?? 0);
const broker = await Aedes.createBroker({
  authenticate: (_client, user, password, done) => done(null, isWelcome(user, password)),
  authorizeSubscribe: (_client, subscription, done) => done(null, mayRead(subscription.topic) ? subscription : null),
});
// What waits for a client keeps the identifiers of its last connection, and an acknowledgement of another message that has the same one on the
// next connection would remove it.
broker.on('clientDisconnect', (client) => void forgetIdentifiers(client));
const server = createServer(broker.handle);
server.listen(port, '127.0.0.1', () => process.stdout.write(`listening on ${server.address().port}\n`));
process.on('disconnect', () => process.exit());

/** Everyone is, except those who give a user name with another password than "secret". */
function isWelcome(user, password) {
  return user === undefined || String(password) === 'secret';
}

/** Everyone may read everything but what is called forbidden. */
function mayRead(topic) {
  return !topic.startsWith('forbidden/');
}

async function forgetIdentifiers(client) {
  for await (const packet of broker.persistence.outgoingStream(client)) packet.messageId = undefined;
}
