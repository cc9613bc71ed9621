// An MQTT broker that does nothing but count: what the agent's broker would cost without the agent.
// Run as a child with an IPC channel: sends { port } when it listens, and { count } for every message it is sent.
import { createServer } from 'node:net';

import { Aedes } from 'aedes';

const broker = await Aedes.createBroker();
let count = 0;
broker.authorizePublish = (_client, _packet, done) => {
  count += 1;
  done(null);
};
const server = createServer(broker.handle);
server.listen(0, '127.0.0.1', () => process.send?.({ port: server.address().port }));
process.on('message', () => process.send?.({ count }));
process.on('disconnect', () => process.exit());
