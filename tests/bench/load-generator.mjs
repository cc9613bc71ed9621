// Publishes readings as fast as the broker takes them. Packets are encoded once and sent again and again, so that the generator
// costs little beside what it measures.
//
//   node load-generator.mjs <port> <qos 0|1> <readings> <sensors> <connections> <in flight per connection> [<readings per second>]
//
// Prints one JSON line: { readings, seconds } from the first byte until the last is written (QoS 0) or acknowledged (QoS 1).
import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

import mqtt from 'mqtt-packet';

const [port, qos, readings, sensors, connections, inFlightMax, perSecond = Infinity] = process.argv
  .slice(2)
  .map(Number);
const PUBACK_BYTES = 4;
/** Packets written together; few when they are paced, so that they come evenly. */
const chunkMax = Math.max(1, Math.min(200, Math.floor(perSecond / connections / 100)));
const each = Math.floor(readings / connections);

/** One packet per packet id: sensors take turns, and each value wanders by a little noise around its sensor's level. */
function packets(connection) {
  return Array.from({ length: Math.max(inFlightMax, 2_000, Math.ceil(sensors / connections)) }, (_, i) => {
    const sensor = (i * connections + connection) % sensors;
    const value = 20 + (sensor % 50) + Math.sin(i) * 0.5;
    return mqtt.generate({
      cmd: 'publish',
      topic: `sensors/machine-${Math.floor(sensor / 10)}/metric-${sensor % 10}`,
      payload: JSON.stringify({ value: Number(value.toFixed(3)), unit: '°C' }),
      qos,
      retain: false,
      dup: false,
      messageId: i + 1,
    });
  });
}

async function publish(connection) {
  const socket = connect(port, '127.0.0.1');
  socket.setNoDelay(true);
  socket.write(
    mqtt.generate({
      cmd: 'connect',
      protocolId: 'MQTT',
      protocolVersion: 4,
      clean: true,
      clientId: `load-${connection}`,
      keepalive: 0,
    }),
  );
  await once(socket, 'data');
  const encoded = packets(connection);
  let acknowledged = 0;
  let wake = () => {};
  socket.on('data', (bytes) => {
    acknowledged += bytes.length / PUBACK_BYTES;
    wake();
  });
  for (let sent = 0; sent < each;) {
    const ahead = (sent * connections * 1_000) / perSecond - (performance.now() - start);
    if (ahead > 0) await sleep(ahead);
    const room = qos === 0 ? chunkMax : Math.min(chunkMax, inFlightMax - (sent - acknowledged));
    const chunk = Math.min(room, each - sent);
    if (chunk >= 1) {
      const first = sent;
      sent += Math.floor(chunk);
      const batch = Buffer.concat(
        Array.from({ length: sent - first }, (_, i) => encoded[(first + i) % encoded.length]),
      );
      if (!socket.write(batch)) await once(socket, 'drain');
    } else {
      await new Promise((resolve) => (wake = resolve));
    }
  }
  while (qos === 1 && acknowledged < each) await new Promise((resolve) => (wake = resolve));
  socket.end(mqtt.generate({ cmd: 'disconnect' }));
  await once(socket, 'close');
}

const start = performance.now();
await Promise.all(Array.from({ length: connections }, async (_, i) => publish(i)));
process.stdout.write(
  `${JSON.stringify({ readings: each * connections, seconds: (performance.now() - start) / 1_000 })}\n`,
);
