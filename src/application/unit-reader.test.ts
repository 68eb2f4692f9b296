import fc from 'fast-check';
import { expect, it } from 'vitest';
import { UNIT_BYTES } from '../base/units.js';
import { UnitReader } from './unit-reader.js';

const BYTES = Buffer.alloc(40 * UNIT_BYTES + 99);
for (let at = 0; at < BYTES.length; at += 997) BYTES.writeUInt8((at / 997) & 255, at);

interface Source {
  readonly reader: UnitReader;
  /** Where it was opened. */
  readonly opened: number[];
  readonly signals: AbortSignal[];
}

/** A source whose units are all in the same memory. */
function source(): Source {
  const opened: number[] = [];
  const signals: AbortSignal[] = [];
  const open = (offsetBytes: number, signal: AbortSignal): Promise<AsyncIterable<Uint8Array>> => {
    opened.push(offsetBytes);
    signals.push(signal);
    return Promise.resolve(units(offsetBytes));
  };
  return { reader: new UnitReader(open, BYTES.length), opened, signals };
}

async function* units(offsetBytes: number): AsyncGenerator<Uint8Array> {
  const memory = Buffer.alloc(UNIT_BYTES);
  for (let at = offsetBytes; at < BYTES.length; at += UNIT_BYTES) {
    await Promise.resolve();
    yield memory.subarray(0, BYTES.copy(memory, 0, at, at + UNIT_BYTES));
  }
}

it('reads what is there, at any offset, in any order, several at a time', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.nat(BYTES.length), fc.nat(3 * UNIT_BYTES)), { minLength: 1, maxLength: 12 }),
      async (reads) => {
        const { reader } = source();
        const found = await Promise.all(reads.map(([offset, length]) => reader.read(offset, length)));
        for (const [index, [offset, length]] of reads.entries())
          expect(BYTES.subarray(offset, offset + length).equals(found[index] ?? Buffer.alloc(1))).toBe(true);
        await reader.close();
      },
    ),
    { numRuns: 30 },
  );
});

it('reads on where it can, and opens the data anew where that costs less', async () => {
  const { reader, opened, signals } = source();
  for (let at = 0; at < 8 * UNIT_BYTES; at += 700_000) await reader.read(at, 700_000);
  expect(opened).toEqual([0]);
  await reader.read(30 * UNIT_BYTES, 10);
  expect(opened).toEqual([0, 30 * UNIT_BYTES]);
  // Kept from before.
  await reader.read(7 * UNIT_BYTES, 10);
  expect(opened).toHaveLength(2);
  expect(signals.map(({ aborted }) => aborted)).toEqual([true, false]);
  await reader.close();
  expect(signals.every(({ aborted }) => aborted)).toBe(true);
});
