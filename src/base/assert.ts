/** Stops on a bug of ours: the request fails as INTERNAL and the message goes to the log. */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new Error(`assertion failed: ${message}`);
}
