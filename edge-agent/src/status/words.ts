const UNITS = [
  ['GiB', 1024 ** 3],
  ['MiB', 1024 ** 2],
  ['KiB', 1024],
] as const;

/** A number of bytes to two or three digits in its largest fitting unit: `1.5 GiB`, `64 MiB`. */
export function bytesInWords(bytes: number): string {
  const [unit, size] = UNITS.find(([, unitBytes]) => bytes >= unitBytes) ?? (['bytes', 1] as const);
  const amount = bytes / size;
  return `${Number(amount.toFixed(amount < 10 ? 1 : 0))} ${unit}`;
}

/** A number of milliseconds with as many digits as matter: `0.21 ms`, `35 ms`. */
export const msInWords = (ms: number): string => `${Number(ms.toPrecision(2))} ms`;

/** `1 record`, `3 records`. */
export const counted = (count: number, thing: string): string => `${count} ${thing}${count === 1 ? '' : 's'}`;
