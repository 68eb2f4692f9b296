/**
 * Compiles everything, bundles the program (docs/decisions/0050), and removes from dist what has no source any more, so that
 * a deleted test does not go on running.
 * The stamp's time is that of the start: a file edited while tsc runs counts as newer.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import process from 'node:process';
import * as esbuild from 'esbuild';

const root = path.resolve(import.meta.dirname, '..');
const dist = path.join(root, 'dist');

function removeOrphans(folder) {
  if (!existsSync(path.join(dist, folder))) return;
  for (const name of readdirSync(path.join(dist, folder), { recursive: true })) {
    const output = path.join(folder, name);
    const source = output.replace(/\.js(\.map)?$/, '.ts');
    if (source !== output && !existsSync(path.join(root, source))) rmSync(path.join(dist, output));
  }
}

/** The files that a process or a thread starts with. In the bundle they lie side by side, as they name each other. */
const ENTRIES = [
  'bin/oriel',
  'catalog/lane/lane.process',
  'catalog/list/reader.thread',
  'workers/copy/copy.thread',
  'workers/digest/digest.thread',
  ...['sync.process', 'check.process', 'parent-watch.thread'].map((name) => `catalog/replica/${name}`),
];
/** As deep as dist/src/bin, so that paths to package.json and proto/ are right in both. */
const PROGRAM = 'dist/program/bin';
/** Packages that the bundle leaves where npm puts them. */
const EXTERNAL = [
  // Native code, and what looks for files of its own.
  ...['libsql', '@libsql/*', '@napi-rs/*', 'koffi', 'piscina', '@grpc/proto-loader'],
  // Required by fastify at run time only, in cases that are not ours (NO_COMPILERS in gateway.ts; `inject` of tests).
  ...['@fastify/ajv-compiler', '@fastify/fast-json-stringify-compiler', 'light-my-request'],
];

/** Bundles what tsc wrote, which is what the tests run, and removes what an earlier build left. */
async function bundle() {
  const { metafile } = await esbuild.build({
    absWorkingDir: root,
    entryPoints: ENTRIES.map((entry) => ({ in: `dist/src/${entry}.js`, out: path.basename(entry) })),
    outdir: PROGRAM,
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node20.19',
    external: EXTERNAL,
    // CommonJS packages go on requiring Node's modules and the external packages.
    banner: {
      js: "import { createRequire as requireFrom } from 'node:module';\nconst require = requireFrom(import.meta.url);",
    },
    // The sources' texts would double the size; not minified, since names in stacks matter and it saved no time.
    sourcemap: 'linked',
    sourcesContent: false,
    metafile: true,
    logLevel: 'warning',
  });
  for (const name of readdirSync(path.join(root, PROGRAM)))
    if (!(`${PROGRAM}/${name}` in metafile.outputs)) rmSync(path.join(root, PROGRAM, name));
}

mkdirSync(dist, { recursive: true });
const stamp = path.join(dist, '.built');
const pending = path.join(dist, `.built.${process.pid}`);
writeFileSync(pending, '');
const result = spawnSync(process.execPath, [path.join(root, 'node_modules/typescript/bin/tsc'), '-p', root], {
  cwd: root,
  stdio: 'inherit',
});
if (result.status !== 0) {
  rmSync(pending);
  process.exit(result.status ?? 1);
}
await bundle().catch(() => {
  // esbuild has said why.
  rmSync(pending);
  process.exit(1);
});
for (const folder of ['src', 'test', 'bench', 'scripts']) removeOrphans(folder);
renameSync(pending, stamp);
