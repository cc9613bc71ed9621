import { type IClientOptions, type MqttClient, connectAsync } from 'mqtt';

import type { Resources } from '../../../tests/support/index.ts';

/** A device that is connected; it disconnects at the end of the test. */
export async function connectDevice(
  resources: Resources,
  port: number,
  options: IClientOptions = {},
): Promise<MqttClient> {
  const device = await connectAsync(`mqtt://127.0.0.1:${port}`, { reconnectPeriod: 50, ...options });
  device.on('error', () => undefined);
  resources.defer(async () => device.endAsync(true));
  return device;
}

export const silentLogger = {
  debug: (): void => undefined,
  info: (): void => undefined,
  warn: (): void => undefined,
  error: (): void => undefined,
};
