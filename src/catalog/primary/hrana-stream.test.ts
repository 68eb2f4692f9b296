import { expect, test } from 'vitest';
import { type CallOptions, HranaError } from './hrana-client.js';
import { type BatchAnswer, step } from './hrana-protocol.js';
import { HranaStream } from './hrana-stream.js';

const STEPS = [step('select 1')];

function streamOver(answers: (BatchAnswer | Error)[]): { readonly stream: HranaStream; readonly batons: unknown[] } {
  const batons: unknown[] = [];
  const batch = async (_: unknown, { baton }: CallOptions): Promise<BatchAnswer> => {
    batons.push(baton);
    const answer = answers.shift();
    if (answer instanceof Error || answer === undefined) throw answer ?? new Error('no answer is left');
    return await Promise.resolve(answer);
  };
  return { stream: new HranaStream({ batch }), batons };
}

const answer = (baton: string | null): BatchAnswer => ({ baton, outcomes: [{ kind: 'skipped' }] });

test('goes on where the last request was, and anew when the server has forgotten it', async () => {
  const forgotten = new HranaError('refused', 'STREAM_EXPIRED');
  const { stream, batons } = streamOver([answer('a'), answer('b'), forgotten, answer('c'), answer('d')]);
  for (let k = 0; k < 4; k += 1) await stream.batch(STEPS, 1000);
  expect(batons).toEqual([null, 'a', 'b', null, 'c']);
});

test('sends nothing twice when the outcome is unknown, or the server refuses a new stream', async () => {
  const unknown = streamOver([answer('a'), new HranaError('unknown', 'reset')]);
  await unknown.stream.batch(STEPS, 1000);
  await expect(unknown.stream.batch(STEPS, 1000)).rejects.toThrow('reset');
  expect(unknown.batons).toEqual([null, 'a']);
  const refused = streamOver([new HranaError('refused', 'HTTP 401')]);
  await expect(refused.stream.batch(STEPS, 1000)).rejects.toThrow('401');
  const broken = streamOver([{ baton: 'a', outcomes: { code: 'SQL_PARSE_ERROR', message: 'near x' } }]);
  await expect(broken.stream.batch(STEPS, 1000)).rejects.toMatchObject({ outcome: 'unknown' });
});
