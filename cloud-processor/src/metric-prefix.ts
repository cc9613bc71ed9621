/** What the names of the processor's metrics begin with. */
export const METRIC_PREFIX = 'floorwatch_processor_';
