import { readFileSync } from 'node:fs';

/**
 * When the process started, in the kernel's own unit; undefined when there is none, or no /proc. An id alone may have
 * been given to another process since; with this it is unique until a reboot.
 */
export function startTimeOf(pid: number): string | undefined {
  try {
    // proc(5), /proc/PID/stat: field 22 is the start time; field 2 is in parentheses and may hold blanks.
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
  } catch {
    return undefined;
  }
}
