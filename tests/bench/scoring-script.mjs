// What people write before they look for a product: an MQTT broker with a hook that parses every payload and scores it against an
// exponentially weighted mean and variance. Nothing is kept, nothing is sent on.
// Run as a child with an IPC channel: sends { port } when it listens, and { count } for every message it is sent.
import { createServer } from 'node:net';

import { Aedes } from 'aedes';

const ALPHA = 2 / 101;
const WARM_UP = 30;
const SD_MAX = 5;

const broker = await Aedes.createBroker();
const sensors = new Map();
let count = 0;
let anomalies = 0;
broker.authorizePublish = (_client, packet, done) => {
  const { value } = JSON.parse(packet.payload.toString());
  const sensor = sensors.get(packet.topic);
  if (sensor === undefined) sensors.set(packet.topic, { n: 1, mean: value, variance: 0 });
  else {
    const difference = value - sensor.mean;
    if (sensor.n > WARM_UP && Math.abs(difference) > SD_MAX * Math.sqrt(sensor.variance)) anomalies += 1;
    sensor.n += 1;
    sensor.mean += ALPHA * difference;
    sensor.variance = (1 - ALPHA) * (sensor.variance + ALPHA * difference * difference);
  }
  count += 1;
  done(null);
};
const server = createServer(broker.handle);
server.listen(0, '127.0.0.1', () => process.send?.({ port: server.address().port }));
process.on('message', () => process.send?.({ count, anomalies }));
process.on('disconnect', () => process.exit());
