import { readdirSync, readFileSync } from 'node:fs';

/** Resident memory of a process and all its descendants in MiB, at this moment. */
export function residentMib(pid: number): number {
  const parents = new Map<number, number>();
  for (const name of readdirSync('/proc')) {
    if (/^\d+$/.test(name)) parents.set(Number(name), statusField(Number(name), 'PPid'));
  }
  const family = [...parents.keys()].filter((candidate) => {
    for (let up: number | undefined = candidate; up !== undefined && up > 1; up = parents.get(up)) {
      if (up === pid) return true;
    }
    return false;
  });
  return family.reduce((sum, member) => sum + statusField(member, 'VmRSS') / 1024, 0);
}

/** A number of /proc/PID/status; 0 when the process has ended meanwhile. */
function statusField(pid: number, field: string): number {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    return Number(new RegExp(`^${field}:\\s+(\\d+)`, 'm').exec(status)?.[1] ?? '0');
  } catch (error) {
    if (error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ESRCH')) return 0;
    throw error;
  }
}
