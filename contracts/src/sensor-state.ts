/**
 * How a sensor is now. `unknown`: its gateway has not reported for a while, so nothing can be said; never read it as "all clear".
 */
export const SENSOR_STATES = ['normal', 'warning', 'critical', 'unknown'] as const;
export type SensorState = (typeof SENSOR_STATES)[number];
