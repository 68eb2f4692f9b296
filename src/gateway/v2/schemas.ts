/**
 * The schema documents (reference §7.6): JSON-Schema as of drafts 3 and 4. python-glanceclient builds its options and models
 * from them, Nova tells base attributes from custom ones by `is_base` (§12.2, §12.5).
 */

export interface SchemaFacts {
  readonly diskFormats: readonly string[];
  readonly containerFormats: readonly string[];
  readonly multiStore: boolean;
}

const UUID = '^([0-9a-fA-F]){8}-([0-9a-fA-F]){4}-([0-9a-fA-F]){4}-([0-9a-fA-F]){4}-([0-9a-fA-F]){12}$';
const INT32 = { type: 'integer', minimum: 0, maximum: 2_147_483_647 };

function text(description: string, maxLength?: number): object {
  return { type: 'string', description, maxLength };
}

function readOnlyText(description: string): object {
  return { type: 'string', readOnly: true, description };
}

function nullable(description: string, rest: object): object {
  return { type: ['null', 'string'], description, ...rest };
}

/** Attributes of every image, in the order of reference §3.1. */
function baseProperties(facts: SchemaFacts): Record<string, object> {
  return {
    id: { type: 'string', pattern: UUID, description: 'An identifier for the image' },
    name: nullable('Descriptive name for the image', { maxLength: 255 }),
    status: { ...readOnlyText('Status of the image'), enum: STATUSES },
    visibility: {
      type: 'string',
      enum: ['community', 'public', 'private', 'shared'],
      description: 'Scope of image accessibility',
    },
    protected: { type: 'boolean', description: 'If true, image will not be deletable.' },
    os_hidden: { type: 'boolean', description: 'If true, image will not appear in default image list response.' },
    checksum: nullable('md5 hash of image contents.', { readOnly: true, maxLength: 32 }),
    os_hash_algo: nullable('Algorithm to calculate the os_hash_value', { readOnly: true, maxLength: 64 }),
    os_hash_value: nullable('Hexdigest of the image contents', { readOnly: true, maxLength: 128 }),
    owner: nullable('Owner of the image', { maxLength: 255 }),
    size: { type: ['null', 'integer'], readOnly: true, description: 'Size of image file in bytes' },
    virtual_size: { type: ['null', 'integer'], readOnly: true, description: 'Virtual size of image in bytes' },
    container_format: nullable('Format of the container', { enum: [null, ...facts.containerFormats] }),
    disk_format: nullable('Format of the disk', { enum: [null, ...facts.diskFormats] }),
    created_at: readOnlyText('Date and time of image registration'),
    updated_at: readOnlyText('Date and time of the last image modification'),
    tags: {
      type: 'array',
      items: { type: 'string', maxLength: 255 },
      description: 'List of strings related to the image',
    },
    direct_url: readOnlyText('URL to access the image file kept in external store'),
    min_ram: { ...INT32, description: 'Amount of ram (in MB) required to boot image.' },
    min_disk: { ...INT32, description: 'Amount of disk space (in GB) required to boot image.' },
    self: readOnlyText('An image self url'),
    file: readOnlyText('An image file url'),
    schema: readOnlyText('An image schema url'),
    locations: LOCATIONS,
    ...(facts.multiStore ? { stores: readOnlyText('Store in which image data resides') } : {}),
  };
}

const STATUSES = [
  'queued',
  'saving',
  'active',
  'killed',
  'deleted',
  'uploading',
  'importing',
  'pending_delete',
  'deactivated',
];

const LOCATIONS = {
  type: 'array',
  description: 'A set of URLs to access the image file kept in external store',
  items: {
    type: 'object',
    properties: { url: { type: 'string', maxLength: 255 }, metadata: { type: 'object' } },
    required: ['url', 'metadata'],
  },
};

/** Custom properties with a meaning of their own; `is_base: false` tells Nova so. */
const CUSTOM_PROPERTIES = {
  kernel_id: {
    ...nullable('ID of image stored that should be used as the kernel.', { pattern: UUID }),
    is_base: false,
  },
  ramdisk_id: {
    ...nullable('ID of image stored that should be used as the ramdisk.', { pattern: UUID }),
    is_base: false,
  },
  instance_uuid: { ...text('Instance this image was created from.'), is_base: false },
  architecture: { ...text('Operating system architecture.'), is_base: false },
  os_distro: { ...text('Common name of operating system distribution.'), is_base: false },
  os_version: { ...text('Operating system version as specified by the distributor.'), is_base: false },
  description: { ...text('A human-readable string describing this image.'), is_base: false },
  cinder_encryption_key_id: {
    ...text('Identifier in the key store of the key of an encrypted volume.'),
    is_base: false,
  },
  cinder_encryption_key_deletion_policy: {
    ...text('What happens to the encryption key when the image is deleted.'),
    enum: ['on_image_deletion', 'do_not_delete'],
    is_base: false,
  },
};

/** The schema of one image. */
export function imageSchema(facts: SchemaFacts): object {
  return {
    name: 'image',
    properties: { ...baseProperties(facts), ...CUSTOM_PROPERTIES },
    additionalProperties: { type: 'string' },
    links: [
      { rel: 'self', href: '{self}' },
      { rel: 'enclosure', href: '{file}' },
      { rel: 'describedby', href: '{schema}' },
    ],
  };
}

/** The schema of a list of images. */
export function imagesSchema(facts: SchemaFacts): object {
  return {
    name: 'images',
    properties: {
      images: { type: 'array', items: imageSchema(facts) },
      first: { type: 'string' },
      next: { type: 'string' },
      schema: { type: 'string' },
    },
    links: [
      { rel: 'first', href: '{first}' },
      { rel: 'next', href: '{next}' },
      { rel: 'describedby', href: '{schema}' },
    ],
  };
}

/** The schema of one member. */
export const MEMBER_SCHEMA = {
  name: 'member',
  properties: {
    member_id: text('An identifier for the image member (tenantId)'),
    image_id: { type: 'string', pattern: UUID, description: 'An identifier for the image' },
    status: {
      type: 'string',
      enum: ['pending', 'accepted', 'rejected'],
      description: 'The status of this image member',
    },
    created_at: text('Date and time of image member creation'),
    updated_at: text('Date and time of last modification of image member'),
    schema: { type: 'string', readOnly: true },
  },
} as const;

/** The schema of a list of members. */
export const MEMBERS_SCHEMA = {
  name: 'members',
  properties: { members: { type: 'array', items: MEMBER_SCHEMA }, schema: { type: 'string' } },
  links: [{ rel: 'describedby', href: '{schema}' }],
} as const;
