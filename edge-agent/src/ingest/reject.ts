/**
 * Why a message, or a part of it, does not become a reading, or a field of one is left out. The list is fixed, so that each reason can be a metric's label; the keys of
 * {@link REJECT_REASONS} are what metrics and the status page show, the texts say what a technician should do.
 */
export const REJECT_REASONS = {
  'topic-unknown': 'no template in "topics" matches; correct the device, or add a template',
  'name-invalid': 'device or metric in the topic is empty, too long, padded with spaces or has control characters',
  'payload-empty': 'the device sent nothing',
  'payload-too-large': 'the payload is larger than 64 KiB; send fewer readings per message',
  'payload-malformed': 'the payload, or this part of it, is not what the codec expects: JSON in UTF-8, or a number',
  'no-readings': 'the message holds no reading: a list without elements, or an object without metrics',
  'too-many-readings': 'the message holds more readings than "readings.perMessageMax"; send smaller ones, or raise it',
  'series-invalid': 'a series needs "t0", "dtMs" of at least 1, and the list "values"',
  'metric-missing':
    'neither the topic nor the payload names the metric; add {metric} to the topic, or the field "metric"',
  'value-missing': 'the object has no field "value"',
  'value-not-a-number': 'the value is text, true, false, null, a list or an object; send a number',
  'value-not-finite': 'the value is NaN or infinite; send nothing when a sensor fails',
  'value-too-large': 'the value is beyond ±1e150, which no physical quantity comes near',
  'time-malformed': '"ts" is neither a time since 1970 nor ISO 8601 with a zone such as 2026-01-31T12:00:00Z',
  'time-missing': 'a reading of a list has no "ts"; the time of arrival would be wrong for all but the last',
  'time-renamed':
    'the object has no "ts", and this field holds a time: it is taken for "ts", and is no metric; send it as "ts", or name it in "ignore"',
  'unit-invalid': '"unit" is not a text of at most 32 characters',
  'seq-invalid': '"seq" is not a whole number from 0; the reading is taken without it',
  'quality-bad': 'the device says that its value is bad',
  'quality-unknown': '"quality" is not good, uncertain or bad; the reading is taken as uncertain',
  'device-share':
    'the device has its share ("sensorShares.device") of the places for sensors; give it fewer metrics, or raise "sensorsMax"',
  'client-share':
    'the client has its share ("sensorShares.client") of the places for sensors; see why it names so many, or raise "sensorsMax"',
  'hour-share':
    'this hour has its share ("sensorShares.hour") of the places for sensors; it is taken in the next one, or raise "sensorsMax"',
  'too-many-sensors': 'the gateway already has as many sensors as "sensorsMax" allows',
} as const;

export type RejectReason = keyof typeof REJECT_REASONS;

/** All reasons, in the order of the table. */
export const REJECT_REASON_NAMES = Object.keys(REJECT_REASONS) as readonly RejectReason[];

/** What parsing gives: the thing itself, or why there is none. Told apart with `typeof`, so that success costs no allocation. */
export type OrReject<T extends object> = T | RejectReason;
