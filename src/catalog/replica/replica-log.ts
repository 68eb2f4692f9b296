/** Takes what an operator should know about the replica; pino's shape. */
export interface ReplicaLog {
  info(facts: object, message: string): void;
  warn(facts: object, message: string): void;
  error(facts: object, message: string): void;
}
