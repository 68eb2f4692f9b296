import { describe, expect, it } from 'vitest';
import { checkUrl, isAllowedHost, type UrlRules } from './url-rules.js';

const rules: UrlRules = { allowedSchemes: ['http', 'https'], allowedPorts: [80, 443], allowedHosts: [] };
const anyPort: UrlRules = { ...rules, allowedPorts: [] };
const refuses = (text: string, by: UrlRules = anyPort): void =>
  expect(() => checkUrl(text, by, 255), text).toThrow(expect.objectContaining({ reason: 'INVALID_ARGUMENT' }));

describe('the text of a URL', () => {
  it('is taken with a host name, an IPv4 or an IPv6 address', () => {
    const parts = (text: string) => checkUrl(text, anyPort, 255);
    expect(parts('http://mirror.example/a.raw?x=1')).toEqual({
      ...{ href: 'http://mirror.example/a.raw?x=1', hostname: 'mirror.example', port: 80 },
    });
    expect(parts('HTTPS://Mirror.Example:8443')).toEqual({
      ...{ href: 'https://mirror.example:8443/', hostname: 'mirror.example', port: 8443 },
    });
    expect(parts('http://192.0.2.1:80/')).toMatchObject({ hostname: '192.0.2.1', port: 80 });
    expect(parts('https://[2001:DB8::1]/')).toMatchObject({ hostname: '2001:db8::1', port: 443 });
    expect(parts('http://xn--bcher-kva.example/a')).toMatchObject({ hostname: 'xn--bcher-kva.example' });
  });

  it('is refused with another scheme, by what is parsed', () => {
    for (const scheme of ['file', 'FILE', 'filesystem', 'swift+config', 'ftp', 'gopher', 'data', 'javascript', 'httpx'])
      refuses(`${scheme}://mirror.example/a`);
    for (const text of ['http:mirror.example/a', 'http:/mirror.example/a', '//mirror.example/a', 'mirror.example/a'])
      refuses(text);
    refuses('http://mirror.example/a', { ...rules, allowedSchemes: ['https'] });
  });

  it('is refused with a user, a fragment, blanks, control or other characters, or too long', () => {
    for (const text of [
      ...['http://u@h.example/', 'http://u:p@h.example/', 'http://@h.example/', 'http://h.example@127.0.0.1/'],
      ...['http://h.example/#', 'http://h.example/#f', 'http://h.example#@x.example/'],
      ...[' http://h.example/', 'http://h.example/a b', 'http://h.example/\t', 'http://h.example/\r\nx', 'http://h\0/'],
      ...['http://h.example\\@127.0.0.1/', 'http:\\\\h.example/', 'http://h.exämple/', 'http://１２７.0.0.1/'],
    ])
      refuses(text);
    refuses(`http://h.example/${'a'.repeat(300)}`);
  });

  it.each([
    ['short forms', 'http://127.1/', 'http://127.0.1/', 'http://1/'],
    ['digits alone', 'http://2130706433/', 'http://017700000001/'],
    ['hex', 'http://0x7f000001/', 'http://0x7f.0.0.1/', 'http://127.0.0.0x1/', 'http://a.0x/'],
    ['octal parts', 'http://0177.0.0.1/', 'http://127.0.0.01/', 'http://010.0.0.1/'],
    ['a dot at the end or two in a row', 'http://localhost./', 'http://127.0.0.1./', 'http://a..example/', 'http://./'],
    ['zone ids', 'http://[fe80::1%25eth0]/', 'http://[fe80::1%eth0]/'],
    ['percent-encoding', 'http://%6c%6f%63alhost/', 'http://127.0.0.1%2f@h.example/', 'http://h%2eexample/'],
    [
      'mixed or odd labels',
      'http://mірror.example/',
      'http://-a.example/',
      'http://a_b.example/',
      'http://a-.example/',
    ],
    ['empty hosts', 'http:///a', 'http://:80/', 'http://?x', 'http://[]/', 'http://[::1/'],
    ['odd IPv6', 'http://[::127.1]/', 'http://[1:2]/', 'http://::1/', 'http://[v1.a]/'],
    ['odd ports', 'http://h.example:/', 'http://h.example:0/', 'http://h.example:99999/', 'http://h.example:8a/'],
  ])('is refused with %s in the host', (_, ...texts) => {
    texts.forEach((text) => refuses(text));
  });

  it('is refused with a port that is not allowed, also the one that is not written', () => {
    refuses('http://h.example:22/', rules);
    refuses('https://h.example/', { ...rules, allowedPorts: [80] });
    expect(checkUrl('http://h.example:443/', rules, 255).port).toBe(443);
  });

  it('is not repeated in messages', () => {
    for (const text of ['http://me:s3cret@h.example/', 's3cret://h', 'http://s3cret:22/'])
      expect(() => checkUrl(text, rules, 255)).not.toThrow(/s3cret/);
  });

  it('lets hosts past the address rules by name, or by name and port', () => {
    const allowed = { ...rules, allowedHosts: ['Mirror', 'depot:8080', '[::1]:81'] };
    expect(isAllowedHost(allowed, 'mirror', 1)).toBe(true);
    expect(isAllowedHost(allowed, 'depot', 8080)).toBe(true);
    expect(isAllowedHost(allowed, 'depot', 80)).toBe(false);
    expect(isAllowedHost(allowed, '::1', 81)).toBe(true);
    expect(isAllowedHost(allowed, '::1', 80)).toBe(false);
    expect(isAllowedHost(allowed, 'mirror.example', 1)).toBe(false);
  });
});
