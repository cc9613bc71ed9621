const MIB = 1024 * 1024;

export const limits = {
  /** A log file that has grown so large becomes `<name>.1.log`, of which one is kept: with five children at most 50 MiB. */
  logBytesMax: 5 * MIB,
  /** How many ports above a busy default one are tried. */
  portAttempts: 50,
  /** A child that starts must answer within this time; a gateway with a slow card included. */
  readyMsMax: 60_000,
  /** After this long without an answer a child that starts is mentioned on the terminal. */
  slowStartMs: 5_000,
  /** From the signal until nothing runs any more. */
  stopMsMax: 4_500,
  /** Of that time, what is left for every child that stops later. */
  stopMsReserve: 400,
  /** One Ctrl-C under npm arrives twice: the terminal sends it to everyone, and npm forwards it. */
  repeatedSignalMs: 1_000,
  /** Lines of a child that ended unexpectedly that are shown. */
  lastLinesShown: 12,
} as const;
