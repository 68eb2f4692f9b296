import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { OPTIONS, STORE_OPTIONS } from './options.js';

// From dist/src/config to the folder of the package.
const document = readFileSync(fileURLToPath(new URL('../../../docs/configuration.md', import.meta.url)), 'utf8');
const sections = new Map(document.split(/^## /m).map((section) => [section.split('\n', 1)[0] ?? '', section]));

it.each([...OPTIONS.entries()])('docs/configuration.md lists %s with its default', (key, schema) => {
  const dot = key.lastIndexOf('.');
  const fallback: unknown = schema.default;
  const row = `| \`${key.slice(dot + 1)}\` | \`${JSON.stringify(fallback)}\` |`;
  expect(sections.get(`[${key.slice(0, dot)}]`)).toContain(row);
});

it.each([...STORE_OPTIONS.keys()])('docs/configuration.md lists the store option %s', (key) => {
  expect(sections.get('[stores.NAME]')).toContain(`| \`${key}\` |`);
});
