/**
 * Adds to package-lock.json the optional packages of other platforms that npm left out. `npm install` drops an optional
 * package whose metadata the registry at hand does not serve (a partial mirror), and `npm ci` then refuses the lock file
 * everywhere ("Missing: ... from lock file"). Run after changing dependencies: node scripts/complete-lock.mjs
 */
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';

const file = path.resolve(import.meta.dirname, '../package-lock.json');
const lock = JSON.parse(readFileSync(file, 'utf8'));
const SUFFIX = /-(android|darwin|freebsd|linux|openharmony|win32)-([a-z0-9]+)(?:-([a-z]+))?$/;

function entryFor(name, version, parent) {
  const [, os, cpuWord, abi] = SUFFIX.exec(name) ?? [];
  const entry = { version: version.replace(/^[\^~]/, '') };
  if (parent.dev) entry.dev = true;
  if (cpuWord !== undefined) entry.cpu = [cpuWord === 'armv7' ? 'arm' : cpuWord];
  if (os === 'linux' && abi !== undefined) entry.libc = [abi.startsWith('musl') ? 'musl' : 'glibc'];
  entry.optional = true;
  if (os !== undefined) entry.os = [os];
  return entry;
}

for (const [where, parent] of Object.entries(lock.packages)) {
  for (const [name, version] of Object.entries(parent.optionalDependencies ?? {})) {
    const key = `node_modules/${name}`;
    if (key in lock.packages || `${where}/${key}` in lock.packages) continue;
    lock.packages[key] = entryFor(name, version, parent);
    console.log(`added ${name} ${version}`);
  }
}
lock.packages = Object.fromEntries(Object.entries(lock.packages).sort(([a], [b]) => (a < b ? -1 : 1)));
writeFileSync(file, `${JSON.stringify(lock, null, 2)}\n`);
