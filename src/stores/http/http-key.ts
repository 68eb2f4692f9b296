/**
 * The key of an object at a URL is the URL in the letters that keys have:
 *
 *   https://mirror.example:8080/a_b.raw?x=1   →   https/mirror.example_3A8080/a_5Fb.raw_3Fx_3D1
 *
 * Whatever a key may not have, "_", a dot or slash at the start of a part and a slash at the end are "_" and two hex digits.
 */
import { asObjectKey, type ObjectKey } from '../../base/brand.js';

/** The key of a URL of ASCII as `new URL(…).href` writes it; undefined: too long for a key. */
export function keyOfUrl(href: string): ObjectKey | undefined {
  const [scheme = '', rest = ''] = href.split(/:\/\/(.*)/s, 2);
  let key = `${scheme}/`;
  for (let at = 0; at < rest.length; at += 1) {
    const character = rest.charAt(at);
    const begins = key.endsWith('/');
    const isLast = at === rest.length - 1;
    const isPlain = /[A-Za-z0-9-]/.test(character) || (character === '.' && !begins);
    const isSlash = character === '/' && !begins && !isLast;
    key += isPlain || isSlash ? character : `_${character.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`;
  }
  return asObjectKey(key);
}

/** The URL of a key; undefined: not the key of any. */
export function urlOfKey(key: ObjectKey): string | undefined {
  const [, scheme, rest] = /^(https?)\/(.+)$/.exec(key) ?? [];
  if (scheme === undefined || rest === undefined) return undefined;
  const text = rest.replaceAll(/_([0-9A-F]{2})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 16)),
  );
  const url = `${scheme}://${text}`;
  return keyOfUrl(url) === key ? url : undefined;
}
