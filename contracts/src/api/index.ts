export type { Answer } from './answer.ts';
export { type AnswerName, answerSchemas } from './answer-schemas.ts';
export type { DeadLetterSummary, ReprocessAnswer, RetentionStatus } from './maintenance.ts';
export type {
  Counted,
  Difference,
  EvidenceReport,
  GatewayReport,
  IntakeReport,
  LaneReport,
  VerifyReport,
  VerifyRequest,
  VerifyStatus,
} from './verify.ts';
