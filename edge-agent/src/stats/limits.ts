/** Limits of what the engine keeps and takes. */
export const statsLimits = {
  /**
   * Largest absolute value of a reading. Its square times the number of readings must stay finite: 1e150² × 1e7 is 1e307. No
   * physical quantity comes near it; a larger number is a device's mistake.
   */
  valueAbsMax: 1e150,
  /**
   * Open rollup buckets of all sensors together, about 35 MB. Twenty thousand sensors have up to three each. When it is reached,
   * all of them go out early; later readings make further rollups of the same buckets, so nothing is lost.
   */
  openBucketsMax: 100_000,
  /**
   * Event hours of all sensors together that are being counted, about 13 MB, and of each sensor on average where that is more: three are usual,
   * and fewer would be full again as soon as all were told. When it is reached, all rollups go out, all counts are told, and counting begins
   * anew; nothing is lost.
   */
  countedHoursMax: 100_000,
  countedHoursPerSensorMax: 4,
} as const;
