/** What a person calls the parts of the processor, and what is amiss without them. */
const PARTS: Readonly<Record<string, string>> = {
  nats: 'The connection to NATS, which brings the readings',
  stream: 'The stream of readings',
  store: 'The store of windows and anomalies',
  outbox: 'The way to the store',
  checkpoints: 'The saved state of the processor',
  retention: 'Old readings',
};

/** Which parts of the processor do not work, in words; empty while all do. */
export function describeTrouble(parts: Readonly<Record<string, string>>): string {
  return Object.entries(parts)
    .filter(([, state]) => state !== 'ok')
    .map(([part, state]) => `${PARTS[part] ?? part}: ${state}.`)
    .join(' ');
}
