import { Aedes, type AedesOptions, type Client, type PublishPacket } from 'aedes';

type Done = (error?: Error) => void;

/**
 * aedes for what devices publish and for the protocol, without its delivery to subscribers: that one makes publishers wait for them, keeps what they
 * do not read without a limit, and costs as much as to receive a message where nobody subscribes (ADR-0025). It announces nothing under `$SYS`
 * either.
 */
export class QuietAedes extends Aedes {
  /** Who is connected, by client id; aedes' types leave it out. */
  declare readonly clients: Readonly<Partial<Record<string, Client>>>;
  readonly #passOn: (packet: PublishPacket, client: Client) => void;
  /** What aedes waits for before it reads on. */
  #passed: Done[] = [];

  /** @param passOn called for each message that is taken, whatever its QoS. */
  constructor(options: AedesOptions, passOn: (packet: PublishPacket, client: Client) => void) {
    super(options);
    this.#passOn = passOn;
  }

  /** aedes calls it with a client for what that one has published, and without for its own announcements. */
  override publish(packet: PublishPacket, client: Client | Done, done?: Done): void {
    if (typeof client === 'function') {
      client();
      return;
    }
    this.#passOn(packet, client);
    if (done === undefined) return;
    // Not at once: aedes would read on while packets that came before wait in its own queue.
    if (this.#passed.push(done) === 1) setImmediate(() => this.#pass());
  }

  override subscribe(_topic: string, _deliver: unknown, done: () => void): void {
    done();
  }

  override unsubscribe(_topic: string, _deliver: unknown, done: () => void): void {
    done();
  }

  #pass(): void {
    const passed = this.#passed;
    this.#passed = [];
    for (const done of passed) done();
  }
}
