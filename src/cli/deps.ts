/** What the command line is given by the program's entry, so that it reads no environment and no configuration itself. */
import type { Readable, Writable } from 'node:stream';
import type { CatalogFunctions } from './catalog-functions.js';

/** A terminal or a pipe; bars are drawn on a terminal only. */
export type OutputStream = Writable & { readonly isTTY?: boolean };

/** Which token file a command means: one named, or that of the configuration. */
export interface TokenFilePlace {
  readonly file?: string | undefined;
  readonly config?: string | undefined;
  readonly data?: string | undefined;
}

/** What `oriel token create` asks for. */
export interface TokenRequest {
  readonly user: string;
  readonly project: string | null;
  readonly roles: readonly string[];
  /** From now; null: never. */
  readonly expiresAfter: string | null;
}

/** A token as the file knows it. */
export interface TokenLine {
  readonly id: string;
  readonly user: string;
  readonly project: string | null;
  readonly roles: readonly string[];
  readonly created_at: string;
  readonly expires_at: string | null;
}

/** The functions over the token file. */
export interface TokenFunctions {
  create(place: TokenFilePlace, request: TokenRequest): Promise<{ readonly token: string; readonly record: TokenLine }>;
  list(place: TokenFilePlace): Promise<readonly TokenLine[]>;
  revoke(place: TokenFilePlace, id: string): Promise<void>;
}

/** The configuration in force, as text and by option. */
export interface PrintedConfig {
  readonly text: string;
  readonly settings: readonly { readonly key: string; readonly value: unknown; readonly source: string }[];
}

export interface CliDeps {
  readonly version: string;
  /** Of the environment: ORIEL_NODE and ORIEL_TOKEN. */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly stdin: Readable;
  readonly stdout: OutputStream;
  readonly stderr: OutputStream;
  /** The folder with `oriel/catalog/v1/…`, for `oriel call`. */
  readonly protoDir: string;
  /** Aborts the running command (SIGINT), which then tidies up. */
  readonly signal: AbortSignal;
  readonly tokens: TokenFunctions;
  /** Loaded when it is wanted: the catalog's driver is native code. */
  catalog(): Promise<CatalogFunctions>;
  printConfig(given: { readonly file?: string | undefined }): PrintedConfig;
}
