import type { HttpConfig } from '@floorwatch/runtime';

/** Where a command on the same machine finds the processor that is configured like this. */
export function processorAddress({ host, port }: Pick<HttpConfig, 'host' | 'port'>): string {
  const name = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host;
  return `http://${name.includes(':') ? `[${name}]` : name}:${port}`;
}
