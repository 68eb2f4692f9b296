/** A flag of `oriel serve` that sets one option. */
export interface ServeFlag {
  /** As commander declares it. */
  readonly declaration: string;
  /** The name of its value in commander's `opts()`. */
  readonly attribute: string;
  /** The option it sets. */
  readonly key: string;
  readonly help: string;
}

/** The flags of `oriel serve` beside `--config`, which names the file. */
export const SERVE_FLAGS: readonly ServeFlag[] = [
  { declaration: '--data <dir>', attribute: 'data', key: 'node.data', help: 'data folder (default ./data)' },
  { declaration: '--http <host:port>', attribute: 'http', key: 'node.http', help: 'Images API (127.0.0.1:9292)' },
  { declaration: '--grpc <host:port>', attribute: 'grpc', key: 'node.grpc', help: 'gRPC (127.0.0.1:9293)' },
  { declaration: '--socket <path>', attribute: 'socket', key: 'node.socket', help: 'unix socket (DIR/oriel.sock)' },
  { declaration: '--site <name>', attribute: 'site', key: 'node.site', help: 'site of the node (default)' },
  { declaration: '--auth <mode>', attribute: 'auth', key: 'auth.mode', help: 'none, token, keystone or a list (none)' },
  { declaration: '--workers <n>', attribute: 'workers', key: 'workers.count', help: 'worker threads (cores)' },
  { declaration: '--log-level <level>', attribute: 'logLevel', key: 'log.level', help: 'least level logged (info)' },
  { declaration: '--primary <host:port>', attribute: 'primary', key: 'catalog.primary', help: 'be an edge of this' },
  {
    declaration: '--cluster-key <file>',
    attribute: 'clusterKey',
    key: 'catalog.cluster_key_file',
    help: 'key that joins a cluster',
  },
  {
    declaration: '--advertise <host>',
    attribute: 'advertise',
    key: 'node.advertise',
    help: 'host by which other nodes reach this one (that of http)',
  },
];
