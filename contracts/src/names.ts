import { z } from 'zod';

import { limits } from './limits.ts';

/** How {@link isName} is told to people. */
export const NAME_RULE = 'must not contain control characters, "/", "+" or "#", nor begin or end with white space';

const NOT_IN_NAMES = '/+#\\u0000-\\u001f\\u007f-\\u009f';
const WHITE_SPACE = ' \\u00a0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000\\ufeff';
const AT_AN_END = `[^${NOT_IN_NAMES}${WHITE_SPACE}]`;

/** {@link isName} as a regular expression that JavaScript, Python and Rust read the same way, for descriptions. */
export const NAME_PATTERN = `${AT_AN_END}(?:[^${NOT_IN_NAMES}]{0,${limits.nameLengthMax - 2}}${AT_AN_END})?`;

/**
 * A site, gateway, device or metric: what a person calls a thing. Any Unicode text except control characters and the three
 * characters that MQTT gives a meaning (`/`, `+`, `#`), without white space at either end. `/` is therefore free to join names.
 */
export const nameSchema = z.string().min(1).max(limits.nameLengthMax).refine(isName, NAME_RULE);

/** Whether `text` can name a site, gateway, device or metric. */
export function isName(text: string): boolean {
  const { length } = text;
  if (length === 0 || length > limits.nameLengthMax) return false;
  for (let i = 0; i < length; i++) {
    const unit = text.charCodeAt(i);
    // Most names are of letters, digits and hyphens, and every batch brings a thousand.
    if (unit < 0x30 && unit !== HYPHEN) return isUnusualName(text);
    if (unit > 0x7a) return isUnusualName(text);
  }
  return true;
}

const HYPHEN = 0x2d;

const isUnusualName = (text: string): boolean => text.trim() === text && !/[\p{Cc}\p{Cs}/+#]/u.test(text);

/** A sensor within its gateway. */
export interface SensorName {
  readonly device: string;
  readonly metric: string;
}

/** A gateway among all gateways. */
export interface GatewayName {
  readonly site: string;
  readonly gateway: string;
}

/** A sensor among all sensors. A device that moves to another gateway is another sensor. */
export interface SensorRef extends GatewayName, SensorName {}

/** `device/metric`: a sensor's key within its gateway. */
export const sensorKey = (name: SensorName): string => `${name.device}/${name.metric}`;

/** `site/gateway`: a gateway's key. */
export const gatewayKey = (name: GatewayName): string => `${name.site}/${name.gateway}`;

/** `site/gateway/device/metric`: a sensor's id in the API and on the console page. */
export const sensorId = (ref: SensorRef): string => `${ref.site}/${ref.gateway}/${ref.device}/${ref.metric}`;

/** The sensor that `id` (see {@link sensorId}) names, or undefined if it is not such an id. */
export function parseSensorId(id: string): SensorRef | undefined {
  const parts = id.split('/');
  const [site, gateway, device, metric] = parts;
  if (parts.length !== 4 || !parts.every(isName)) return undefined;
  if (site === undefined || gateway === undefined || device === undefined || metric === undefined) return undefined;
  return { site, gateway, device, metric };
}
