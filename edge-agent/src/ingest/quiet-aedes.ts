import { Aedes, type Client, type PublishPacket } from 'aedes';

type Done = (error?: Error) => void;

/** How aedes itself calls it for what a client has published; its types leave that out. */
interface FullPublish {
  readonly publish: (this: Aedes, packet: PublishPacket, client: Client, done: Done) => void;
}

const { publish: published } = Aedes.prototype as unknown as FullPublish;

/**
 * aedes without what it does to find the subscribers of a message, as long as nobody has ever subscribed: most gateways have none, and that
 * costs as much as to receive the message (ADR-0021).
 */
export class QuietAedes extends Aedes {
  /** Who is connected, by client id; aedes' types leave it out. */
  declare readonly clients: Readonly<Partial<Record<string, Client>>>;
  /** To be set when somebody is allowed to subscribe, before that counts. */
  hasSubscribers = false;
  /** What aedes waits for before it reads on. */
  #passed: Done[] = [];

  override publish(packet: PublishPacket, client: Client | Done, done?: Done): void {
    if (typeof client === 'function') {
      super.publish(packet, client);
    } else if (this.hasSubscribers || done === undefined) {
      published.call(this, packet, client, done ?? (() => undefined));
    } else {
      // Not at once: aedes would read on in the middle of what it reads.
      if (this.#passed.push(done) === 1) setImmediate(() => this.#pass());
    }
  }

  #pass(): void {
    const passed = this.#passed;
    this.#passed = [];
    for (const done of passed) done();
  }
}
