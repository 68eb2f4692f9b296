import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { tempFolder } from '../../../test/support/temp-folder.js';
import { AccessTokens } from './access-tokens.js';

let folder: Awaited<ReturnType<typeof tempFolder>>;
beforeEach(async () => {
  folder = await tempFolder('tokens');
});
afterEach(() => folder.remove());

describe('the public key', () => {
  it('is written again only when it is not that of the private one', () => {
    const { publicKeyPath } = AccessTokens.open(folder.path);
    const [first, text] = [statSync(publicKeyPath).ino, readFileSync(publicKeyPath, 'utf8')];
    AccessTokens.open(folder.path);
    expect(statSync(publicKeyPath).ino).toBe(first);
    writeFileSync(publicKeyPath, 'another');
    AccessTokens.open(folder.path);
    expect(readFileSync(publicKeyPath, 'utf8')).toBe(text);
  });
});
