import { readFileSync } from 'node:fs';
import type { TlsConfig } from '../config/config.js';

/** Reads the certificate and the key, as PEM texts. */
export function tlsTextsOf(tls: TlsConfig): { readonly cert: string; readonly key: string } {
  return { cert: readFileSync(tls.certFile, 'utf8'), key: readFileSync(tls.keyFile, 'utf8') };
}
