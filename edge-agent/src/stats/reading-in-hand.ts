/**
 * The reading that is being judged and learned, as columns of one row. A number that is passed by itself becomes a heap object wherever a call
 * is not compiled into its caller, and this happens a dozen times for every reading.
 */
export class ReadingInHand {
  /** Event time, epoch milliseconds, as the only element. */
  readonly times = new Float64Array(1);
  /** In the sensor's unit, as the only element. */
  readonly values = new Float64Array(1);

  /**
   * How much later than its event time it arrived, in milliseconds, and when by the time for which the gateway has listened. The first is NaN if nobody
   * knows: in recordings, for what was released from quarantine, and while the gateway's own clock is wrong.
   */
  readonly lags = new Float64Array([NaN, NaN]);

  set(eventTime: number, value: number): this {
    this.times[0] = eventTime;
    this.values[0] = value;
    return this;
  }

  get eventTime(): number {
    return this.times[0]!;
  }

  get value(): number {
    return this.values[0]!;
  }
}
