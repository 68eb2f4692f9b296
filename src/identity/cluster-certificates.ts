/** The certificates by which the nodes of a cluster know each other: an authority of its own, and one for each node. */
import 'reflect-metadata';
import { createPrivateKey, createPublicKey, randomBytes, webcrypto, X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import * as x509 from '@peculiar/x509';
import { ServiceError } from '../base/service-error.js';

const DAY_MS = 24 * 60 * 60 * 1000;
const AUTHORITY_MS = 3650 * DAY_MS;
const NODE_MS = 730 * DAY_MS;
/** Clocks of nodes may be behind. */
const EARLIER_MS = DAY_MS;
const SERIAL_BYTES = 16;
/** Every TLS library in use takes it, that of the copying process too. */
const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;

/** A certificate and its private key (PKCS #8), PEM. */
export interface CertifiedKey {
  readonly certificate: string;
  readonly privateKey: string;
}

/** Makes the authority that signs the nodes of one cluster. It is good for ten years. */
export async function newClusterAuthority(nowMs: number): Promise<CertifiedKey> {
  const keys = await newKeys();
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serialNumber(),
    name: [{ CN: ['Oriel cluster'] }],
    ...validity(nowMs, AUTHORITY_MS),
    signingAlgorithm: ALGORITHM,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return { certificate: pemLines(certificate), privateKey: await privateKeyText(keys) };
}

/**
 * Makes the certificate of a node, for its doors and for what it calls; good for two years.
 *
 * @param hosts the names and addresses by which others reach the node
 * @throws ServiceError INVALID_ARGUMENT for a host that is neither; DATA_CORRUPT when the authority's files are no pair.
 */
export async function newNodeCertificate(
  authority: CertifiedKey,
  node: { readonly name: string; readonly hosts: readonly string[] },
  nowMs: number,
): Promise<CertifiedKey> {
  const issuer = new x509.X509Certificate(authority.certificate);
  const keys = await newKeys();
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serialNumber(),
    subject: [{ CN: [node.name] }],
    issuer: issuer.subjectName,
    ...validity(nowMs, NODE_MS),
    signingAlgorithm: ALGORITHM,
    publicKey: keys.publicKey,
    signingKey: await signingKeyOf(authority),
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth, x509.ExtendedKeyUsage.clientAuth]),
      new x509.SubjectAlternativeNameExtension(node.hosts.map(generalName)),
      await x509.AuthorityKeyIdentifierExtension.create(issuer.publicKey),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return { certificate: pemLines(certificate), privateKey: await privateKeyText(keys) };
}

function generalName(host: string): x509.JsonGeneralName {
  if (isIP(host) !== 0) return { type: 'ip', value: host };
  if (/^[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$/.test(host)) return { type: 'dns', value: host };
  throw new ServiceError('INVALID_ARGUMENT', `expected a host name or an address, found ${JSON.stringify(host)}`);
}

function newKeys(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
}

async function signingKeyOf(authority: CertifiedKey): Promise<webcrypto.CryptoKey> {
  const key = createPrivateKey(authority.privateKey);
  const own = createPublicKey(key).export({ type: 'spki', format: 'pem' });
  const certified = new X509Certificate(authority.certificate).publicKey.export({ type: 'spki', format: 'pem' });
  if (own !== certified)
    throw new ServiceError('DATA_CORRUPT', "the authority's key does not belong to its certificate");
  return webcrypto.subtle.importKey('pkcs8', key.export({ type: 'pkcs8', format: 'der' }), ALGORITHM, false, ['sign']);
}

async function privateKeyText(keys: webcrypto.CryptoKeyPair): Promise<string> {
  const der = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey));
  return createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })
    .export({ type: 'pkcs8', format: 'pem' })
    .toString();
}

function pemLines(certificate: x509.X509Certificate): string {
  return `${certificate.toString('pem')}\n`;
}

function validity(nowMs: number, lengthMs: number): { readonly notBefore: Date; readonly notAfter: Date } {
  return { notBefore: new Date(nowMs - EARLIER_MS), notAfter: new Date(nowMs + lengthMs) };
}

/** Positive, as RFC 5280 §4.1.2.2 wants it. */
function serialNumber(): string {
  const bytes = randomBytes(SERIAL_BYTES);
  bytes[0] = ((bytes[0] ?? 0) & 0x3f) | 0x40;
  return bytes.toString('hex');
}
