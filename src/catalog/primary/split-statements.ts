/**
 * The statements of a script. `sqld` has a request for whole scripts, but it passes over what it cannot parse in one and
 * commits the rest (measured with 0.24.1), so a script goes as a batch of its statements.
 */
export function splitStatements(script: string): readonly string[] {
  const statements: string[] = [];
  let start = 0;
  let depth = 0;
  for (const { 0: token, index } of script.matchAll(TOKENS)) {
    if (/^trigger$/i.test(token)) depth = 1;
    else if (/^case$/i.test(token)) depth += depth > 0 ? 1 : 0;
    else if (/^end$/i.test(token)) depth = Math.max(0, depth - 1);
    else if (token === ';' && depth === 0) {
      statements.push(script.slice(start, index));
      start = index + 1;
    }
  }
  statements.push(script.slice(start));
  return statements.map((statement) => statement.trim()).filter((statement) => !EMPTY.test(statement));
}

/** Comments and quoted texts whole, so that what is in them is not looked at; then words, and what ends a statement. */
const TOKENS = /--[^\n]*|\/\*[^]*?\*\/|'[^']*'|"[^"]*"|\[[^\]]*\]|`[^`]*`|\w+|;/g;
const EMPTY = /^(\s|--[^\n]*\n?|\/\*[^]*?\*\/)*$/;
