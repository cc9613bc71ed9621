import { z } from 'zod';

/** Of 0.01 to 1; 1 limits nobody. */
const share = (byDefault: number) => z.number().min(0.01).max(1).default(byDefault);

/** The section `sensorShares` of the configuration: what one device, client or hour may take of the places for sensors; see `SensorRegistry`. */
export const sensorSharesSchema = z.strictObject({
  device: share(0.5),
  client: share(0.75),
  hour: share(0.9),
});

export type SensorShares = z.output<typeof sensorSharesSchema>;

export const SENSOR_SHARES_DEFAULT: SensorShares = sensorSharesSchema.parse({});
