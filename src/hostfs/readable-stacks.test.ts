import { spawnSync } from 'node:child_process';
import { expect, test } from 'vitest';

/** In a process of its own, since the module changes how every stack of its process is written. */
function stackOf(statement: string): string {
  const program = `
    import ${JSON.stringify(new URL('./readable-stacks.js', import.meta.url).href)};
    import { assert } from ${JSON.stringify(new URL('../base/assert.js', import.meta.url).href)};
    try { ${statement} } catch (error) { process.stdout.write(error.stack); }`;
  return spawnSync(process.execPath, ['--input-type=module', '--eval', program], { encoding: 'utf8' }).stdout;
}

test('a stack names the lines of the sources, and keeps those of files without a map', () => {
  const [head, thrower, caller] = stackOf("assert(false, 'told why')").split('\n');
  expect(head).toContain('told why');
  expect(thrower).toMatch(/^ {4}at assert \(\/.*\/src\/base\/assert\.ts:\d+:\d+\)$/);
  expect(caller).toMatch(/^ {4}at file:\/\/.*\[eval1\]:\d+:\d+$/);
});
