const STEP_MS = 20;

/**
 * Starts to measure how long something takes of the time that this process could use: as many milliseconds as a timer of its event loop has
 * counted, which on a busy machine are fewer than a clock's. For upper limits on what waits, which must hold on any machine.
 *
 * @returns ends the measurement and gives the milliseconds.
 */
export function loopTime(): () => number {
  let steps = 0;
  const timer = setInterval(() => (steps += 1), STEP_MS);
  return () => {
    clearInterval(timer);
    return steps * STEP_MS;
  };
}
