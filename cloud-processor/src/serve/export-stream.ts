import { serveLimits } from './limits.ts';

/** An export in hand; exactly one of its ends is told to `closed`. */
export interface ExportSource {
  /** The next bytes; undefined: that was all. */
  readonly next: () => Promise<Uint8Array | undefined>;
  /** Called once, whatever the end was. */
  readonly closed: () => void;
}

/** An export on its way to a client. */
export interface ExportInHand {
  readonly stream: ReadableStream<Uint8Array>;
  /** How long the client has taken nothing, in milliseconds; 0 while it waits for bytes. */
  stalledMs(): number;
  /** Ends it, as if the client had taken nothing for too long. */
  cut(): void;
}

/**
 * Bytes that are made when the client takes them: what waits is one piece at most. A client that takes nothing for `idleMs` is cut, so
 * that it does not keep others from exporting.
 *
 * @param hangUp cuts the client's connection.
 */
export function exportStream(
  { next, closed }: ExportSource,
  hangUp: () => void,
  idleMs: number = serveLimits.exportIdleMs,
): ExportInHand {
  let open = true;
  let idle: NodeJS.Timeout | undefined;
  let stalledSince: number | undefined;
  const end = (): void => {
    clearTimeout(idle);
    if (!open) return;
    open = false;
    closed();
  };
  const cut = (): void => {
    end();
    hangUp();
  };
  const wait = (): void => {
    stalledSince = performance.now();
    idle = setTimeout(cut, idleMs).unref();
  };
  const stream = new ReadableStream<Uint8Array>(
    {
      start: wait,
      async pull(controller) {
        clearTimeout(idle);
        stalledSince = undefined;
        if (!open) throw new Error('the export is over: its client took nothing for too long');
        try {
          const bytes = await next();
          // Cancelled meanwhile.
          if (!open) return;
          if (bytes === undefined) {
            end();
            controller.close();
          } else {
            controller.enqueue(bytes);
            wait();
          }
        } catch (error) {
          end();
          throw error;
        }
      },
      cancel: end,
    },
    { highWaterMark: 0 },
  );
  return { stream, cut, stalledMs: () => (stalledSince === undefined ? 0 : performance.now() - stalledSince) };
}
