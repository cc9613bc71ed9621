/**
 * What a person would say of the simulated machines: what their sensors can measure, less the last half percent, because a broken wire shows
 * the end of the range; and how fast temperature and humidity can change. Everything else the agent learns.
 */
export const SIMULATED_ENGINE = {
  range: {
    rules: [
      { device: 'oven-*', metric: 'temperature', low: -19, high: 398 },
      { device: 'hall-*', metric: 'temperature', low: -19, high: 59.7 },
      { metric: 'temperature', low: -19, high: 149.2 },
      { metric: 'vibration', high: 49.7 },
      { metric: 'current', high: 248.7 },
      { device: 'press-*', metric: 'pressure', high: 398 },
      { metric: 'pressure', high: 24.87 },
      { metric: 'flow', high: 398 },
      { metric: 'humidity', high: 99.5 },
    ],
  },
  rate: {
    rules: [
      { metric: 'temperature', perSecondMax: 2 },
      { metric: 'humidity', perSecondMax: 2 },
    ],
  },
};
