import { readFileSync } from 'node:fs';
import type { Config, TlsConfig } from '../config/config.js';

/** Reads the certificate and the key, as PEM texts. */
export function tlsTextsOf(tls: TlsConfig): { readonly cert: string; readonly key: string } {
  return { cert: readFileSync(tls.certFile, 'utf8'), key: readFileSync(tls.keyFile, 'utf8') };
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
  return { caFile, certFile, keyFile, texts: { ca: readFileSync(caFile, 'utf8'), ...tlsTextsOf(tls) } };
}
