/** Every option with its default, by table (docs/configuration.md lists them for operators). */
import { type Static, Type } from '@sinclair/typebox';
import { choice, choiceList, duration, integer, portList, quota, size, text, textList, toggle } from './option.js';

export const AUTH_MODES = ['none', 'token', 'keystone'] as const;
export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;
const closed = { additionalProperties: false } as const;
const hostPort = 'HOST:PORT, such as 127.0.0.1:9292 or [::1]:9292; port 0 takes a free one';

const node = Type.Object(
  {
    data: text('./data', 'Folder of the catalog and, without [stores], of the images.', 'a folder'),
    http: text('127.0.0.1:9292', 'Where the Images API listens.', hostPort),
    grpc: text('127.0.0.1:9293', 'Where gRPC listens.', hostPort),
    socket: text('', 'Unix socket of gRPC; not set: oriel.sock in the data folder.', 'a path'),
    site: text('default', 'The site the node stands at.'),
    advertise: text(
      '',
      "Host by which other nodes reach this one; not set: that of http, or the machine's name for 0.0.0.0.",
    ),
    staging: text('', 'Folder of data that waits for its import; not set: staging in the data folder.', 'a folder'),
    location_strategy: choice(['local-first', 'weighted', 'order'], 'local-first', 'Which location is read first.'),
    stall_limit: duration('20s', 'How long a store may say nothing before a read goes on at the next location.'),
  },
  closed,
);

const tls = Type.Object(
  {
    cert_file: text('', 'Certificate chain (PEM) of both listeners; not set: no TLS.', 'a path'),
    key_file: text('', 'Private key (PEM) of the certificate.', 'a path'),
    client_ca_file: text('', 'CA (PEM) of client certificates; a client with one has the host role.', 'a path'),
  },
  closed,
);

const keystone = Type.Object(
  {
    url: text('', 'The Identity service, such as https://keystone:5000; "/v3" is added when missing.', 'a URL'),
    username: text('', 'The service user that validates tokens.'),
    password_file: text('', 'File with the password of the service user, alone on its first line.', 'a path'),
    project: text('service', 'The project of the service user.'),
    user_domain: text('Default', 'The name of the domain of the service user.'),
    project_domain: text('Default', 'The name of the domain of its project.'),
    region: text('', 'The region of this service in the catalog.'),
    ca_file: text('', 'CA (PEM) of the Identity service; not set: those of the system.', 'a path'),
    cache_ttl: duration('5m', 'How long a validated token is believed; a revoked one works so long at most.'),
    outage_ttl: duration('24h', 'How long it is believed when Keystone does not answer; never past its end.'),
  },
  closed,
);

const auth = Type.Object(
  {
    mode: choiceList(AUTH_MODES, ['none'], 'How callers prove who they are; a list is tried in order.'),
    token: Type.Object(
      { file: text('', 'File of hashed tokens (oriel token create); not set: tokens in the data folder.', 'a path') },
      closed,
    ),
    keystone,
  },
  closed,
);

const catalog = Type.Object(
  {
    primary: text('', 'gRPC address of the authority; set: this node is an edge.', 'HOST:PORT'),
    cluster_key_file: text('', 'File with the key that joins a cluster.', 'a path'),
    sync_url: text('', 'Where an edge copies the catalog from; not set: where the authority says.', 'a URL'),
    ca_file: text('', "CA (PEM) of the cluster's nodes; set: they talk to each other by TLS alone.", 'a path'),
    sync_interval: duration('1s', 'How often an edge asks for changes.'),
    max_staleness: duration('24h', 'How long a cut-off edge serves images that are not public.'),
    durability: choice(['primary', 'replica'], 'primary', 'What must hold a write before it is acknowledged.'),
  },
  closed,
);

const store = Type.Object(
  {
    type: choice(['file', 'http', 's3', 'swift'], 'file', 'The kind of the store.'),
    default: toggle(false, 'Taken when a request names no store.'),
    weight: integer(0, { min: 0, max: 1_000_000 }, 'Of several copies the one in the heaviest store is read.'),
    site: text('', 'The site the store stands at.'),
    path: text('', 'file: its folder.', 'a folder'),
    endpoint: text('', 's3: the URL of the service.', 'a URL'),
    bucket: text('', 's3: the bucket.'),
    region: text('', 's3: the region; not set: us-east-1.'),
    credentials_file: text('', 's3: file with the access key and its secret.', 'a path'),
    auth_url: text('', 'swift: the URL of the Identity service.', 'a URL'),
    user: text('', 'swift: project:user, or account:user with auth_version 1.'),
    key_file: text('', 'swift: file with the key of the user.', 'a path'),
    container: text('', 'swift: the container.'),
    auth_version: choice(['1', '2', '3'], '3', 'swift: 1 (TempAuth) or 3 (Keystone).'),
    temp_url_key_file: text('', "swift: file with the account's key for TempURLs; not set: none are made.", 'a path'),
    presign: toggle(false, 's3: makes presigned URLs.'),
    temp_url_ttl: duration('1h', 's3, swift: how long such a URL is good; when it is shown, at least half as long.'),
  },
  closed,
);

const imports = Type.Object(
  {
    methods: textList(['glance-direct', 'web-download', 'copy-image'], 'Import methods on offer.'),
    allowed_schemes: textList(['http', 'https'], 'Schemes of URLs that the service fetches.'),
    allowed_ports: portList([80, 443], 'Ports of such URLs; empty: any.'),
    allowed_hosts: textList([], '"host" or "host:port" let past the address rules; ports still count.'),
    allow_private_addresses: toggle(false, 'Lets private addresses (RFC 1918, fc00::/7) be fetched from.'),
  },
  closed,
);

const limits = Type.Object(
  {
    limit_param_default: integer(25, { min: 1, max: 100_000 }, 'Images on a page when the caller names no size.'),
    api_limit_max: integer(1000, { min: 1, max: 100_000 }, 'Images on a page at most.'),
    image_property_quota: quota(128, 'Custom properties of an image.'),
    image_tag_quota: quota(128, 'Tags of an image.'),
    image_member_quota: quota(128, 'Members of an image.'),
    image_location_quota: quota(10, 'Locations of an image.'),
    image_size_cap: size('1TiB', 'Bytes of one image.'),
    user_storage_quota: size('0', 'Bytes of all images of a project; 0: no limit.'),
    use_keystone_limits: toggle(false, 'Asks Keystone for the unified limits of projects.'),
    max_header_line: size('16KiB', 'Bytes of the headers of an HTTP request.'),
    max_request_id_length: integer(64, { min: 36, max: 1024 }, 'Characters of X-Openstack-Request-Id.'),
    task_time_to_live: duration('48h', 'How long a finished task can be read.'),
    max_parallel_stores: integer(1, { min: 1, max: 64 }, 'Stores that one import fills at the same time.'),
  },
  closed,
);

// Images API v2 §3.1, "disk_format" and "container_format".
const DISK_FORMATS = ['ami', 'ari', 'aki', 'vhd', 'vhdx', 'vmdk', 'raw', 'qcow2', 'vdi', 'iso', 'ploop'] as const;
const CONTAINER_FORMATS = ['ami', 'ari', 'aki', 'bare', 'ovf', 'ova', 'docker', 'compressed'] as const;

const images = Type.Object(
  {
    show_direct_url: toggle(false, 'Shows direct_url to owners, administrators and services.'),
    show_multiple_locations: toggle(false, 'Shows and takes locations in the image itself.'),
    hashing_algorithm: text('sha512', 'The algorithm of os_hash_value.', 'a digest algorithm of this Node.js'),
    do_secure_hash: toggle(true, 'Reads data that is added by its URL, for its digests.'),
    http_retries: integer(
      3,
      { min: 1, max: 100 },
      'Attempts to read such data before an image that waits for it is queued again.',
    ),
    disk_formats: textList(DISK_FORMATS, 'Disk formats accepted.'),
    container_formats: textList(CONTAINER_FORMATS, 'Container formats accepted.'),
    delayed_delete: toggle(
      false,
      'Keeps the data of a deleted image for some time; the authority of a cluster decides.',
    ),
    scrub_time: duration('0s', 'With delayed_delete: how long, and an administrator can restore the image.'),
    format_match: choice(['strict', 'warn', 'off'], 'strict', 'What happens when data is not of its disk_format.'),
    property_protection_file: text('', 'Rules of who may read and write properties.', 'a path'),
    property_protection_rule_format: choice(['roles', 'policies'], 'roles', 'What those rules name.'),
    policy_file: text('', 'Overrides of the policy rules.', 'a path'),
  },
  closed,
);

const incremental = Type.Object(
  {
    parent_from: textList(['oriel_parent_id'], 'Properties that name the parent of an image.'),
    max_depth: integer(50, { min: 1, max: 1000 }, 'Length of a chain of parents.'),
    on_parent_delete: choice(['reject', 'defer'], 'reject', 'What deleting an image with children does.'),
  },
  closed,
);

const workers = Type.Object(
  {
    count: integer(0, { min: 0, max: 1024 }, 'Worker threads; 0: one a core.'),
    kinds: textList([], 'Kinds of jobs taken; empty: all.'),
    memory_limit: size('1GiB', 'Memory of all jobs together.'),
  },
  closed,
);

const cache = Type.Object(
  {
    enabled: toggle(true, 'Keeps images of other stores on this node.'),
    size: size('10GiB', 'Bytes that the cache may hold.'),
  },
  closed,
);

const materialize = Type.Object(
  {
    roots: textList([], 'Folders beneath which images may be put into files of this host; empty: nowhere.'),
  },
  closed,
);

const scrub = Type.Object(
  {
    interval: duration('30d', 'How often the node checks all data in its stores; 0: never.'),
    rate: size('16MiB', 'Bytes a second that this reads at most.'),
    orphan_grace: duration('7d', 'How long an object is kept that nothing names, in file stores; 0: for ever.'),
  },
  closed,
);

const gateway = Type.Object(
  {
    v1_enabled: toggle(true, 'Serves the Images API v1 too.'),
    public_endpoint: text('', 'The URL by which clients reach the gateway; not set: from the request.', 'a URL'),
    trusted_proxies: textList([], 'Addresses or networks whose X-Forwarded headers are believed.'),
    nodes: textList([], 'oriel gateway: gRPC addresses of its nodes, the preferred one first.'),
    nodes_http: textList([], 'oriel gateway: the URLs of the same nodes, in the same order.'),
    nodes_ca_file: text('', 'oriel gateway: CA (PEM) of the nodes; not set: no TLS to them.', 'a path'),
  },
  closed,
);

const log = Type.Object({ level: choice(LOG_LEVELS, 'info', 'The least level that is logged.') }, closed);

/** The schema of one `[stores.<name>]` table. */
export const StoreSchema = store;

/** The schema of the whole configuration, stores apart, in the names of the file. */
export const OptionsSchema = Type.Object(
  {
    node,
    log,
    tls,
    auth,
    catalog,
    import: imports,
    limits,
    images,
    incremental,
    workers,
    cache,
    materialize,
    scrub,
    gateway,
  },
  closed,
);

export type RawOptions = Static<typeof OptionsSchema>;
