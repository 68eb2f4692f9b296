/**
 * The arrows of the tree (docs/ARCHITECTURE.md): who may import whom. A room that is not named here may import nothing
 * but itself, so a new room starts with a decision. Type-only imports count (tsPreCompilationDeps); unit tests beside
 * the sources may reach further, but nothing that ships may import a test.
 */

/** Rooms each room may import besides itself. */
const ARROWS = {
  base: [],
  domain: ['base'],
  blocks: ['base'],
  formats: ['base', 'blocks'],
  application: ['base', 'domain', 'blocks', 'formats'],
  hostfs: ['base'],
  gen: [],
  // Clients of the generated interfaces over the wire.
  rpc: ['base', 'gen'],
  // Adapters are strangers: each sees the application's ports and the core, never another adapter but hostfs.
  catalog: ['base', 'domain', 'blocks', 'formats', 'application', 'hostfs', 'gen'],
  stores: ['base', 'domain', 'blocks', 'formats', 'application', 'hostfs', 'gen'],
  identity: ['base', 'domain', 'blocks', 'formats', 'application', 'hostfs', 'gen'],
  workers: ['base', 'domain', 'blocks', 'formats', 'application', 'hostfs', 'gen'],
  // Files of the host that images are put into.
  targets: ['base', 'domain', 'blocks', 'formats', 'application', 'hostfs'],
  // What a node of a cluster says to others, over the wire.
  cluster: ['base', 'domain', 'application', 'gen', 'rpc'],
  services: ['base', 'domain', 'blocks', 'formats', 'application', 'hostfs', 'gen'],
  // Fronts speak the generated interfaces; of config they see types alone (rule front-config-types).
  gateway: ['base', 'gen', 'config'],
  cli: ['base', 'gen', 'rpc', 'config', 'workers'],
  config: ['base', 'domain'],
};
const ADAPTERS = ['catalog', 'stores', 'identity', 'workers', 'targets', 'services'];
const PURE = ['base', 'domain', 'blocks', 'formats'];
const oneOf = (names) => `(${names.join('|')})`;
const TEST = '\\.test\\.ts$';

/** Where the packages that stand for a technology may be imported; everywhere else they are a wrong room. */
const PACKAGE_ROOMS = {
  libsql: ['catalog'],
  '@libsql/client': ['catalog'],
  koffi: ['hostfs'],
  fastify: ['gateway', 'bin'],
  piscina: ['workers', 'catalog'],
  commander: ['cli', 'bin'],
  'cli-progress': ['cli'],
  'smol-toml': ['config'],
  '@grpc/proto-loader': ['cli'],
};

const arrows = Object.entries(ARROWS).map(([room, targets]) => ({
  name: `arrow-${room}`,
  comment: `${room} may import ${targets.length > 0 ? targets.join(', ') : 'nothing'} besides itself.`,
  severity: 'error',
  from: { path: `^src/${room}/`, pathNot: TEST },
  to: { path: '^src/', pathNot: `^src/${oneOf([room, ...targets])}/` },
}));

const packages = Object.entries(PACKAGE_ROOMS).map(([name, rooms]) => ({
  name: `package-${name.replace(/^@/, '').replace('/', '-')}`,
  comment: `${name} is imported only by ${rooms.join(', ')}.`,
  severity: 'error',
  from: { path: '^src/', pathNot: [`^src/${oneOf(rooms)}/`, TEST] },
  to: { path: `node_modules/${name}/` },
}));

module.exports = {
  forbidden: [
    ...arrows,
    ...packages,
    {
      name: 'room-without-arrows',
      comment: 'A new folder under src needs a line in ARROWS.',
      severity: 'error',
      from: { path: '^src/', pathNot: `^src/${oneOf([...Object.keys(ARROWS), 'bin'])}/` },
      to: {},
    },
    {
      name: 'front-config-types',
      comment: 'Only bin loads the configuration; gateway and cli see its types.',
      severity: 'error',
      from: { path: '^src/(gateway|cli)/', pathNot: TEST },
      to: { path: '^src/config/', dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'only-services-call-use-cases',
      comment: 'Other adapters implement the ports; the use cases have one caller.',
      severity: 'error',
      from: { path: `^src/${oneOf(ADAPTERS.filter((room) => room !== 'services'))}/`, pathNot: TEST },
      to: { path: '^src/application/', pathNot: '^src/application/ports/' },
    },
    {
      name: 'ports-know-no-use-case',
      comment: 'A port is what use cases need, not what they are.',
      severity: 'error',
      from: { path: '^src/application/ports/' },
      to: { path: '^src/application/', pathNot: '^src/application/ports/' },
    },
    {
      name: 'pure-node',
      comment: 'Pure rooms do no I/O: of Node they use hashes and zlib, which only compute.',
      severity: 'error',
      from: { path: `^src/${oneOf([...PURE, 'application'])}/`, pathNot: TEST },
      to: { dependencyTypes: ['core'], pathNot: '^(node:)?(crypto|zlib)$' },
    },
    {
      name: 'pure-packages',
      comment: 'What a package does is unknown to a pure room: codecs and the like are handed in.',
      severity: 'error',
      from: { path: `^src/${oneOf([...PURE, 'application'])}/`, pathNot: TEST },
      to: { path: 'node_modules/' },
    },
    {
      name: 'threads-only-compute',
      comment: 'A worker entry file decodes arguments and calls the engine.',
      severity: 'error',
      from: { path: '^src/workers/.*\\.thread\\.ts$' },
      to: { path: '^src/', pathNot: '^src/(base|blocks|formats|hostfs|workers)/' },
    },
    {
      name: 'no-test-in-product',
      comment: 'Nothing that ships imports a test, a bench or a script.',
      severity: 'error',
      from: { path: '^src/', pathNot: TEST },
      to: { path: ['^(test|bench|scripts)/', TEST] },
    },
    {
      name: 'no-dev-package-in-product',
      comment: 'devDependencies are absent from an installed package.',
      severity: 'error',
      from: { path: '^src/', pathNot: TEST },
      to: { dependencyTypes: ['npm-dev', 'npm-no-pkg', 'npm-unknown'], dependencyTypesNot: ['npm', 'npm-optional'] },
    },
    {
      name: 'no-cycle',
      comment: 'A cycle means that one of the files does two things.',
      severity: 'error',
      from: {},
      to: { circular: true },
    },
    {
      name: 'resolvable',
      comment: 'Every import resolves.',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true },
    },
  ],
  options: {
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    doNotFollow: { path: ['node_modules', '^dist/'] },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'require', 'node', 'default', 'types'],
    },
  },
};
