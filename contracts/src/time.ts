/**
 * Instants and durations. Both are plain numbers at run time; the brands keep one from being passed where the other is
 * meant. Everything inside floorwatch is in milliseconds; other units exist only where a person writes them.
 */

declare const epochBrand: unique symbol;
declare const durationBrand: unique symbol;

/** An instant: whole milliseconds since 1970-01-01T00:00:00Z. */
export type EpochMs = number & { readonly [epochBrand]: true };

/** A length of time in milliseconds, never negative. */
export type DurationMs = number & { readonly [durationBrand]: true };

/** Brands `ms` as an instant. The caller has checked that it is a whole number. */
export const epochMs = (ms: number): EpochMs => ms as EpochMs;

/** Brands `ms` as a duration. The caller has checked that it is not negative. */
export const durationMs = (ms: number): DurationMs => ms as DurationMs;

/** A duration of `n` seconds. */
export const seconds = (n: number): DurationMs => durationMs(n * 1_000);

/** A duration of `n` minutes. */
export const minutes = (n: number): DurationMs => durationMs(n * 60_000);

/** A duration of `n` hours. */
export const hours = (n: number): DurationMs => durationMs(n * 3_600_000);

/** A duration of `n` days. */
export const days = (n: number): DurationMs => durationMs(n * 86_400_000);

/** `at` moved by `by`, which may be negative. */
export const shift = (at: EpochMs, by: number): EpochMs => epochMs(at + by);

/** The start of the tumbling interval of length `size` that contains `at`; intervals are aligned to the epoch, also before it. */
export const intervalStart = (at: EpochMs, size: DurationMs): EpochMs => epochMs(Math.floor(at / size) * size);
