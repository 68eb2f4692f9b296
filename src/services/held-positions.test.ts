import { describe, expect, test } from 'vitest';
import { asNodeId } from '../base/brand.js';
import { HeldPositions } from './held-positions.js';

const NODE = asNodeId('a');
const OTHER = asNodeId('b');
const at = (frame: number, epoch = 1): { readonly epoch: number; readonly frame: number } => ({ epoch, frame });
const open = (): AbortSignal => new AbortController().signal;

describe('a change that must be held', () => {
  test('asks a node at once, and is done when that has it', async () => {
    const held = new HeldPositions();
    const asked = held.next(NODE, at(4), open());
    const change = held.until(at(7));
    expect(await asked).toEqual(at(7));
    const again = new AbortController();
    const waiting = held.next(NODE, at(7), again.signal);
    await change;
    await held.until(at(6));
    again.abort();
    expect(await waiting).toEqual(at(7));
  });

  test('is asked for of whoever comes later, the newest of several first, and any node will do', async () => {
    const held = new HeldPositions();
    const changes = [held.until(at(9)), held.until(at(8)), held.until(at(2, 2))];
    expect(await held.next(NODE, at(1), open())).toEqual(at(2, 2));
    void held.next(OTHER, at(5, 2), open());
    await Promise.all(changes);
  });

  test('is refused after its time, with what that means', async () => {
    const held = new HeldPositions(20);
    await expect(held.until(at(3))).rejects.toMatchObject({
      reason: 'UNAVAILABLE',
      message: expect.stringMatching(/is made at the authority \(position 1\.3\)/) as string,
    });
    // Nobody waits for it any more.
    const stop = new AbortController();
    const asked = held.next(NODE, at(1), stop.signal);
    stop.abort();
    expect(await asked).toEqual(at(1));
  });
});
