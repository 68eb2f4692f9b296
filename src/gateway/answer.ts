/** What a route answers with: plain data, written by `send-answer.ts`. */
export interface Answer {
  readonly status: number;
  /** Extra headers; the request id, the length and the content type are added when the answer is written. */
  readonly headers?: Readonly<Record<string, string>>;
  /** The body; absent: none. */
  readonly body?: string;
  /** Content-Type of the body; absent: application/json. */
  readonly contentType?: string;
}

export const JSON_TYPE = 'application/json';
export const TEXT_TYPE = 'text/plain; charset=UTF-8';

/** An answer without a body. */
export const NO_CONTENT: Answer = { status: 204 };
