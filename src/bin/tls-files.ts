import { readFileSync } from 'node:fs';
import { createSecureContext } from 'node:tls';
import { ServiceError } from '../base/service-error.js';
import { naming } from '../base/system-error.js';
import type { Config, TlsConfig } from '../config/config.js';

/** Reads the certificate and the key, as PEM texts. UNAVAILABLE: they cannot be read. INVALID_ARGUMENT: they are no pair. */
export function tlsTextsOf({ certFile, keyFile }: TlsConfig): { readonly cert: string; readonly key: string } {
  const texts = { cert: readPem('[tls] cert_file', certFile), key: readPem('[tls] key_file', keyFile) };
  try {
    createSecureContext(texts);
    return texts;
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    const message = `[tls] cert_file ${certFile} and key_file ${keyFile}: expected a certificate and its key, as PEM (${why})`;
    throw new ServiceError('INVALID_ARGUMENT', message, { cause });
  }
}

/** Reads a PEM file that an option names. UNAVAILABLE: it cannot be read. */
export function readPem(option: string, file: string): string {
  return naming(`${option} ${file}`, () => readFileSync(file, 'utf8'));
}

/** What the nodes of a cluster know each other by, as files and as PEM texts; undefined: no TLS between them. */
export interface ClusterTls {
  readonly caFile: string;
  readonly certFile: string;
  readonly keyFile: string;
  readonly texts: { readonly ca: string; readonly cert: string; readonly key: string };
}

/** Reads the certificates between nodes, when the configuration names any. */
export function clusterTlsOf({ tls, catalog: { caFile } }: Config): ClusterTls | undefined {
  if (tls === null || caFile === null) return undefined;
  const { certFile, keyFile } = tls;
  return { caFile, certFile, keyFile, texts: { ca: readPem('[catalog] ca_file', caFile), ...tlsTextsOf(tls) } };
}
