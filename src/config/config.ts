/** The configuration as the program sees it: parsed, with absolute paths, bytes and milliseconds. */
export type AuthMode = 'none' | 'token' | 'keystone';
export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'silent';

/** Where a listener binds; port 0 takes a free one. */
export interface HostPort {
  readonly host: string;
  readonly port: number;
}

export interface NodeConfig {
  readonly dataDir: string;
  readonly http: HostPort;
  readonly grpc: HostPort;
  readonly socketPath: string;
  readonly site: string;
  readonly stagingDir: string;
  readonly locationStrategy: 'local-first' | 'weighted' | 'order';
  readonly stallLimitMs: number;
  /** Name or address by which other nodes reach this one; null: as it listens. */
  readonly advertise: string | null;
}

export interface TlsConfig {
  readonly certFile: string;
  readonly keyFile: string;
  /** Clients with a certificate of this CA have the host role. */
  readonly clientCaFile: string | null;
}

export interface KeystoneConfig {
  /** Ends in `/v3`. */
  readonly url: string;
  readonly username: string;
  readonly passwordFile: string;
  readonly project: string;
  readonly userDomain: string;
  readonly projectDomain: string;
  readonly region: string | null;
  readonly caFile: string | null;
  readonly cacheTtlMs: number;
  readonly outageTtlMs: number;
}

export interface AuthConfig {
  /** In the order in which they are tried; `none` stands alone. */
  readonly modes: readonly AuthMode[];
  readonly token: { readonly file: string };
  /** Set when `modes` holds `keystone`. */
  readonly keystone: KeystoneConfig | null;
}

export interface CatalogConfig {
  readonly primary: string | null;
  readonly clusterKeyFile: string | null;
  /** null: where the authority says. */
  readonly syncUrl: string | null;
  /** PEM of the authority of the cluster's nodes; null: no TLS between them. */
  readonly caFile: string | null;
  readonly syncIntervalMs: number;
  readonly maxStalenessMs: number;
  readonly durability: 'primary' | 'replica';
}

interface AnyStoreConfig {
  readonly name: string;
  /** Exactly one store is the default. */
  readonly isDefault: boolean;
  readonly weight: number;
  readonly site: string;
}

export interface FileStoreConfig extends AnyStoreConfig {
  readonly type: 'file';
  readonly path: string;
}

export interface S3StoreConfig extends AnyStoreConfig {
  readonly type: 's3';
  /** Without a slash at the end; buckets are the first part of the path. */
  readonly endpoint: string;
  readonly bucket: string;
  readonly region: string;
  readonly credentialsFile: string;
  /** How long presigned URLs are good; null: none are made. */
  readonly presignTtlMs: number | null;
}

export interface SwiftStoreConfig extends AnyStoreConfig {
  readonly type: 'swift';
  /** Without a slash at the end. */
  readonly authUrl: string;
  /** `account:user` or `project:user`. */
  readonly user: string;
  readonly keyFile: string;
  readonly container: string;
  readonly authVersion: '1' | '3';
  /** null: no TempURLs are made. */
  readonly tempUrl: { readonly keyFile: string; readonly ttlMs: number } | null;
}

/** Objects at any URL that [import] allows. */
export interface HttpStoreConfig extends AnyStoreConfig {
  readonly type: 'http';
  /** Nothing can be stored there. */
  readonly isDefault: false;
}

export type StoreConfig = FileStoreConfig | HttpStoreConfig | S3StoreConfig | SwiftStoreConfig;

export interface ImportConfig {
  readonly methods: readonly string[];
  readonly allowedSchemes: readonly string[];
  /** Empty: any. */
  readonly allowedPorts: readonly number[];
  readonly allowedHosts: readonly string[];
  readonly allowPrivateAddresses: boolean;
}

/** Limits of reference §10. Quotas: negative means none. */
export interface LimitsConfig {
  readonly limitParamDefault: number;
  readonly apiLimitMax: number;
  readonly imagePropertyQuota: number;
  readonly imageTagQuota: number;
  readonly imageMemberQuota: number;
  readonly imageLocationQuota: number;
  readonly imageSizeCapBytes: number;
  /** 0: no limit. */
  readonly userStorageQuotaBytes: number;
  readonly useKeystoneLimits: boolean;
  readonly maxHeaderLineBytes: number;
  readonly maxRequestIdLength: number;
  readonly taskTimeToLiveMs: number;
  readonly maxParallelStores: number;
}

export interface ImagesConfig {
  readonly showDirectUrl: boolean;
  readonly showMultipleLocations: boolean;
  readonly hashingAlgorithm: string;
  readonly doSecureHash: boolean;
  readonly httpRetries: number;
  readonly diskFormats: readonly string[];
  readonly containerFormats: readonly string[];
  readonly delayedDelete: boolean;
  readonly scrubTimeMs: number;
  readonly formatMatch: 'strict' | 'warn' | 'off';
  readonly propertyProtectionFile: string | null;
  readonly propertyProtectionRuleFormat: 'roles' | 'policies';
  readonly policyFile: string | null;
}

export interface IncrementalConfig {
  readonly parentFrom: readonly string[];
  readonly maxDepth: number;
  readonly onParentDelete: 'reject' | 'defer';
}

export interface WorkersConfig {
  /** Threads, at least 1. */
  readonly count: number;
  /** Empty: all. */
  readonly kinds: readonly string[];
  readonly memoryLimitBytes: number;
}

export interface CacheConfig {
  readonly enabled: boolean;
  readonly sizeBytes: number;
}

export interface MaterializeConfig {
  /** Absolute folders; none of them is the root of the file system. */
  readonly roots: readonly string[];
}

export interface ScrubConfig {
  /** 0: never. */
  readonly intervalMs: number;
  /** Bytes a second. */
  readonly rateBytes: number;
  /** 0: for ever. */
  readonly orphanGraceMs: number;
}

export interface GatewayConfig {
  readonly v1Enabled: boolean;
  /** Without a slash at its end. */
  readonly publicEndpoint: string | null;
  readonly trustedProxies: readonly string[];
  /** Nodes of a gateway alone: gRPC addresses, and the URLs of the same nodes. */
  readonly nodes: readonly string[];
  readonly nodesHttp: readonly string[];
  readonly nodesCaFile: string | null;
}

export interface Config {
  readonly node: NodeConfig;
  readonly log: { readonly level: LogLevel };
  /** Null: no TLS. */
  readonly tls: TlsConfig | null;
  readonly auth: AuthConfig;
  readonly catalog: CatalogConfig;
  /** At least one. */
  readonly stores: readonly StoreConfig[];
  readonly import: ImportConfig;
  readonly limits: LimitsConfig;
  readonly images: ImagesConfig;
  readonly incremental: IncrementalConfig;
  readonly workers: WorkersConfig;
  readonly cache: CacheConfig;
  readonly materialize: MaterializeConfig;
  readonly scrub: ScrubConfig;
  readonly gateway: GatewayConfig;
}

/** Where a value came from. `name` is the path of the file, the variable or the flag; empty for a default. */
export interface Source {
  readonly kind: 'default' | 'file' | 'environment' | 'flag';
  readonly name: string;
}

/** One option in force: its key such as `node.http`, its value as given, and where that came from. */
export interface Setting {
  readonly key: string;
  readonly value: unknown;
  readonly source: Source;
}
