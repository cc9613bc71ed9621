import type { EpochMs } from '@floorwatch/contracts';
import { EXIT, messageOf } from '@floorwatch/runtime';

import { limits } from './limits.ts';
import { checkBrokerUrl, type CredentialFiles, readCredentials } from './publish/credentials.ts';
import { MessageEncoder, type Payload } from './publish/message.ts';
import { MqttPublisher, type Qos } from './publish/mqtt-publisher.ts';
import { type PublishProgress, publishReadings } from './publish/publish-readings.ts';
import type { Timeline } from './publish/timeline.ts';
import { Progress } from './progress.ts';
import { count, type Summary, summaryText } from './report.ts';
import type { SourceReading } from './sensor.ts';

/** The options that both commands share. */
export interface SessionOptions extends CredentialFiles {
  readonly url: string;
  readonly qos: Qos;
  /** Undefined: what suits the quality of service. */
  readonly inFlight?: number;
  readonly clientId: string;
  readonly topic: string;
  readonly payload: Payload;
  readonly json: boolean;
}

/** What a command publishes once the broker is there. */
export interface Work {
  readonly batches: AsyncIterable<readonly SourceReading[]> | Iterable<readonly SourceReading[]>;
  readonly timeline: Timeline;
  /** A share in [0, 1] of work with an end; undefined: it has none. */
  readonly share: () => number | undefined;
  /** What a command adds to its summary. */
  readonly summary: () => Partial<Summary>;
}

/** Ends by a signal are told from a command's own end like this, as shells do it. */
const EXIT_INTERRUPTED = 130;

/**
 * Connects, publishes, waits for what is on the way, and says what became of it.
 *
 * @param endless a command without an end of its own ends well when it is asked to.
 * @param begin makes the work; called when the broker is there, with the clock's time of the beginning.
 * @returns the exit code: {@link EXIT.failed} if a reading failed or stayed unacknowledged, 130 if a signal came before the end.
 */
export async function runSession(
  command: Summary['command'],
  options: SessionOptions,
  endless: boolean,
  begin: (start: EpochMs, note: (text: string) => void) => Promise<Work>,
  signal: AbortSignal,
): Promise<number> {
  const encoder = new MessageEncoder(options.topic, options.payload);
  const lag: PublishProgress = { lagMs: 0 };
  let progress: Progress | undefined;
  const note = (text: string): void => {
    if (progress === undefined) process.stderr.write(`${text}\n`);
    else progress.note(text);
  };
  const publisher = new MqttPublisher({
    url: checkBrokerUrl(options.url),
    qos: options.qos,
    inFlight: options.inFlight ?? (options.qos === 2 ? limits.inFlightQos2Default : limits.inFlightDefault),
    clientId: options.clientId,
    notice: note,
    ...(await readCredentials(options)),
  });
  let work: Work | undefined;
  let startedAt = Date.now();
  let failure: Error | undefined;
  let finished = false;
  try {
    await publisher.connect(signal);
    startedAt = Date.now();
    work = await begin(startedAt as EpochMs, note);
    const { share } = work;
    progress = new Progress(() => ({ share: share(), text: progressText(publisher, startedAt, lag) }));
    await publishReadings(work.batches, work.timeline, encoder, publisher, lag, signal);
    await publisher.settled(signal);
    finished = !signal.aborted;
  } catch (error) {
    if (!signal.aborted) failure = error instanceof Error ? error : new Error(messageOf(error), { cause: error });
  }
  if (publisher.inFlight > 0) await publisher.settled(AbortSignal.timeout(limits.drainMsMax));
  const seconds = (Date.now() - startedAt) / 1_000;
  progress?.stop();
  await publisher.close();
  if (failure !== undefined && work === undefined) throw failure;
  const summary = summarise(command, options, publisher, seconds, !finished && !endless, work);
  process.stdout.write(`${options.json ? JSON.stringify(summary) : summaryText(summary)}\n`);
  if (failure !== undefined) throw failure;
  if (summary.failed > 0 || summary.unacknowledged > 0) return EXIT.failed;
  return summary.interrupted ? EXIT_INTERRUPTED : EXIT.ok;
}

function summarise(
  command: Summary['command'],
  { url, qos }: SessionOptions,
  publisher: MqttPublisher,
  seconds: number,
  interrupted: boolean,
  work: Work | undefined,
): Summary {
  const { counts, inFlight } = publisher;
  return {
    command,
    url,
    qos,
    ...counts,
    unacknowledged: inFlight,
    seconds,
    ratePerSecond: seconds > 0 ? counts.acknowledged / seconds : 0,
    interrupted,
    ...work?.summary(),
  };
}

function progressText(publisher: MqttPublisher, startedAt: number, { lagMs }: PublishProgress): string {
  const { published, acknowledged, failed } = publisher.counts;
  const rate = acknowledged / Math.max(0.001, (Date.now() - startedAt) / 1_000);
  const behind = lagMs >= 1_000 ? `, ${count(lagMs / 1_000)} s behind` : '';
  const lost = failed > 0 ? `, ${count(failed)} failed` : '';
  return `${count(published)} sent, ${count(publisher.inFlight)} on the way${lost}, ${count(rate)} readings/s${behind}`;
}
