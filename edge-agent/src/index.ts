export { AdaptiveDetector, NOT_SCORED, WARMING_UP } from './score/adaptive/adaptive-detector.ts';
export { AdaptiveJudge } from './score/adaptive/adaptive-judge.ts';
export { IntervalDetector } from './score/adaptive/interval-detector.ts';
export { IntervalJudge } from './score/adaptive/interval-judge.ts';
export { StuckDetector } from './score/adaptive/stuck-detector.ts';
export { StuckJudge } from './score/adaptive/stuck-judge.ts';
export { CountWindow } from './stats/count-window.ts';
