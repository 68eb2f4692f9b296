import fc from 'fast-check';
import { expect, it } from 'vitest';
import { asObjectKey, type ObjectKey } from '../../base/brand.js';
import { keyOfUrl, urlOfKey } from './http-key.js';

it('writes URLs as keys that can be read', () => {
  expect(keyOfUrl('https://mirror.example:8080/a_b.raw?x=1')).toBe('https/mirror.example_3A8080/a_5Fb.raw_3Fx_3D1');
  expect(keyOfUrl('http://[::1]/')).toBe('http/_5B_3A_3A1_5D_2F');
  expect(keyOfUrl(`http://h/${'_'.repeat(100)}`)).toBeUndefined();
});

it('gives each URL a key of its own, and the URL of a key back', () => {
  const character = fc.oneof(
    fc.constantFrom('/', '.', '_', '%', '-', 'A', '2', 'F'),
    fc.integer({ min: 0x21, max: 0x7e }),
  );
  const tail = fc.array(character, { maxLength: 60 });
  const keys = new Map<string, string>();
  fc.assert(
    fc.property(fc.constantFrom('http', 'https'), tail, (scheme, characters) => {
      const path = characters.map((each) => (typeof each === 'string' ? each : String.fromCharCode(each))).join('');
      const { href } = new URL(`${scheme}://h.example/${path.replaceAll('#', '')}`);
      const key = keyOfUrl(href);
      if (key === undefined) return;
      expect(asObjectKey(key)).toBe(key);
      expect(urlOfKey(key)).toBe(href);
      expect(keys.get(key) ?? href).toBe(href);
      keys.set(key, href);
    }),
  );
});

it('takes no other keys', () => {
  const key = (text: string): ObjectKey => asObjectKey(text) ?? expect.fail(text);
  for (const text of ['image/data', 'http', 'ftp/h', 'http/h_2f', 'http/_41', 'http/h_2Fa'])
    expect(urlOfKey(key(text)), text).toBeUndefined();
});
