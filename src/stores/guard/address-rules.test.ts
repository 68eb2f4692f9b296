import { describe, expect, it } from 'vitest';
import { AddressRules, ownAddresses } from './address-rules.js';

const strict = new AddressRules({ allowPrivate: false, own: () => [] });
const inside = new AddressRules({ allowPrivate: true, own: () => [] });

const ALWAYS_REFUSED: readonly (readonly [name: string, ...addresses: string[]])[] = [
  ['unspecified', '0.0.0.0', '0.1.2.3', '::'],
  ['loopback', '127.0.0.1', '127.255.255.254', '::1'],
  ['link-local', '169.254.0.1', 'fe80::1', 'febf::1'],
  ['cloud metadata', '169.254.169.254', '::ffff:169.254.169.254', 'fe80::a9fe:a9fe'],
  ['IPv4-mapped', '::ffff:8.8.8.8', '::ffff:127.0.0.1', '::ffff:7f00:1', '0:0:0:0:0:ffff:a00:1'],
  ['IPv4-compatible', '::127.0.0.1', '::7f00:1'],
  ['NAT64', '64:ff9b::127.0.0.1', '64:ff9b::a9fe:a9fe', '64:ff9b:1::1'],
  ['6to4', '2002:7f00:1::', '2002:a9fe:a9fe::1'],
  ['Teredo', '2001:0:7f00:1::1', '2001::1'],
  ['CGNAT', '100.64.0.1', '100.127.255.255'],
  ['multicast', '224.0.0.1', '239.255.255.255', 'ff02::1'],
  ['broadcast', '255.255.255.255'],
  ['reserved', '240.0.0.1', '192.0.0.8', '4000::1', '::5'],
  ['documentation and benchmarks', '192.0.2.1', '198.51.100.1', '203.0.113.1', '198.18.0.1', '2001:db8::1', '3fff::1'],
  ['site-local of old', 'fec0::1'],
  ['no address', '', 'localhost', '127.1', '0x7f000001', '2130706433', 'fe80::1%eth0'],
];

describe('addresses', () => {
  it.each(ALWAYS_REFUSED)('refuses %s, also where private ones are allowed', (_, ...addresses) => {
    for (const address of addresses) {
      expect(strict.refusal(address), address).toBeTypeOf('string');
      expect(inside.refusal(address), address).toBeTypeOf('string');
    }
  });

  it('refuses private ones unless the operator allows them', () => {
    for (const address of ['10.0.0.1', '172.16.0.1', '172.31.255.255', '192.168.1.1', 'fc00::1', 'fdff::1']) {
      expect(strict.refusal(address), address).toBeTypeOf('string');
      expect(inside.refusal(address), address).toBeUndefined();
    }
  });

  it('takes public ones', () => {
    for (const address of ['8.8.8.8', '172.32.0.1', '100.63.255.255', '192.0.1.1', '2606:4700::1111', '2a00:1450::1'])
      expect(strict.refusal(address), address).toBeUndefined();
  });

  it('refuses those of the machine itself, however they are written', () => {
    const rules = new AddressRules({ allowPrivate: true, own: () => ['8.8.4.4', '2606:4700:0:0::1', '10.1.1.1'] });
    for (const address of ['8.8.4.4', '2606:4700::1', '10.1.1.1']) expect(rules.refusal(address)).toMatch(/machine/);
    expect(ownAddresses()).toContain('127.0.0.1');
  });
});
