/** A client of `GET /oriel/v1/events`: server-sent events as a browser reads them. */

/** The data of one event. */
export interface StreamedEvent {
  readonly kind: string;
  readonly token: string;
  readonly occurred_at: string;
  readonly image_id: string;
  readonly image_version?: number;
  readonly image_status?: string;
  readonly member_id?: string;
  readonly member_status?: string;
}

export interface WatchOptions {
  readonly after?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export class EventStream {
  /** The id that came last, of a heartbeat too. */
  token = '';
  readonly #reader: ReadableStreamDefaultReader<string>;
  readonly #abort: AbortController;
  #text = '';

  private constructor(reader: ReadableStreamDefaultReader<string>, abort: AbortController) {
    this.#reader = reader;
    this.#abort = abort;
  }

  /** Opens a stream and reads its first heartbeat; fails on any answer but 200. */
  static async open(url: string, { after = '', headers = {} }: WatchOptions = {}): Promise<EventStream> {
    const abort = new AbortController();
    const query = after === '' ? '' : `?after=${encodeURIComponent(after)}`;
    const response = await fetch(`${url}/oriel/v1/events${query}`, { headers, signal: abort.signal });
    if (response.status !== 200 || response.body === null)
      throw new Error(`events answered ${response.status}: ${await response.text()}`);
    const stream = new EventStream(response.body.pipeThrough(new TextDecoderStream()).getReader(), abort);
    while (stream.token === '') await stream.#block();
    return stream;
  }

  /** The next event; undefined when the stream ended in order. */
  async next(): Promise<StreamedEvent | undefined> {
    for (;;) {
      const block = await this.#block();
      if (block === undefined) return undefined;
      const data = /^data: (.*)$/m.exec(block)?.[1];
      if (data !== undefined) return JSON.parse(data) as StreamedEvent;
    }
  }

  /** The events up to the one that fits, which is the last of them. */
  async until(fits: (event: StreamedEvent) => boolean): Promise<StreamedEvent[]> {
    const events: StreamedEvent[] = [];
    for (;;) {
      const event = await this.next();
      if (event === undefined) throw new Error(`the stream ended after ${JSON.stringify(events)}`);
      events.push(event);
      if (fits(event)) return events;
    }
  }

  /** Goes away without a word. */
  close(): void {
    this.#abort.abort();
  }

  /** What comes up to an empty line; undefined at the end. */
  async #block(): Promise<string | undefined> {
    for (;;) {
      const end = this.#text.indexOf('\n\n');
      if (end !== -1) {
        const block = this.#text.slice(0, end);
        this.#text = this.#text.slice(end + 2);
        this.token = /^id: (.*)$/m.exec(block)?.[1] ?? this.token;
        return block;
      }
      const { done, value } = await this.#reader.read();
      if (done) return undefined;
      this.#text += value;
    }
  }
}
