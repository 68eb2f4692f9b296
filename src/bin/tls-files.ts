import { readFileSync } from 'node:fs';
import type { TlsConfig } from '../config/config.js';

/** How a node with this TLS calls another one of its cluster: under the same authority, and with its own certificate. */
export function clientTlsOf(tls: TlsConfig | null): { ca?: string; cert?: string; key?: string } {
  return tls?.clientCaFile == null ? {} : { ca: tls.clientCaFile, cert: tls.certFile, key: tls.keyFile };
}

/** Reads the certificate and the key, as PEM texts. */
export function tlsTextsOf(tls: TlsConfig): { readonly cert: string; readonly key: string } {
  return { cert: readFileSync(tls.certFile, 'utf8'), key: readFileSync(tls.keyFile, 'utf8') };
}
