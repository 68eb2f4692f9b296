/** Text for terminals. */
import type { OutputStream } from './deps.js';

// C0 and C1 controls, and the marks that turn the direction of text.
const UNPRINTABLE = /[\u0000-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu;

/** Writes control characters as escapes: a name from outside must not drive the terminal. */
export function printable(text: string, allowed = ''): string {
  return text.replace(UNPRINTABLE, (character) => {
    if (allowed.includes(character)) return character;
    return `\\u${(character.codePointAt(0) ?? 0).toString(16).padStart(4, '0')}`;
  });
}

/** Writes and waits when the other side is slow. */
export async function write(stream: OutputStream, data: string | Uint8Array): Promise<void> {
  if (stream.write(data)) return;
  await new Promise<void>((resolve, reject) => {
    const settle = (finish: () => void) => (): void => {
      stream.off('drain', onDrain).off('error', onError).off('close', onClose);
      finish();
    };
    const onDrain = settle(resolve);
    const onClose = settle(() => reject(new Error('the output was closed')));
    const onError = settle(() => reject(new Error('the output failed')));
    stream.once('drain', onDrain).once('error', onError).once('close', onClose);
  });
}

/** Writes a value as indented JSON. */
export async function writeJson(stream: OutputStream, value: unknown): Promise<void> {
  await write(stream, `${JSON.stringify(value, null, 2)}\n`);
}

/** Returns lines with columns as wide as their widest cell; `widths` keeps them from page to page. */
export function alignRows(rows: readonly (readonly string[])[], widths: number[]): string {
  const cells = rows.map((row) => row.map((cell) => printable(cell)));
  for (const row of cells) row.forEach((cell, at) => (widths[at] = Math.max(widths[at] ?? 0, cell.length)));
  return cells
    .map(
      (row) =>
        `${row
          .map((cell, at) => cell.padEnd(widths[at] ?? 0))
          .join('  ')
          .trimEnd()}\n`,
    )
    .join('');
}

/** Returns bytes as people read them: `1.5 GiB`. */
export function bytesText(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit] ?? 'B'}`;
}
