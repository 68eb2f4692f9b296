/** All addresses of a host. */
export type Resolve = (hostname: string) => Promise<readonly string[]>;

interface LookupLimits {
  /** Lookups at a time: one that was begun cannot be ended. */
  readonly slots: number;
  /** Names that wait. */
  readonly waitingMax: number;
  /** So long is a name waited for. */
  readonly waitMs: number;
}

interface Lookup {
  readonly hostname: string;
  readonly zone: string;
  readonly found: Promise<readonly string[]>;
  readonly begin: () => void;
  waiters: number;
}

/**
 * Looks up names, a few at a time. Of a domain it is one at a time, so that one whose name server is silent leaves a slot to others;
 * who asks for the same name shares the lookup; what nobody waits for any more is not begun.
 */
export function queuedResolve(ask: Resolve, { slots, waitingMax, waitMs }: LookupLimits): Resolve {
  const lookups = new Map<string, Lookup>();
  const waiting = new Set<Lookup>();
  const busy = new Set<string>();
  const beginNext = (): void => {
    for (const lookup of waiting) {
      if (busy.size >= slots) return;
      if (busy.has(lookup.zone)) continue;
      waiting.delete(lookup);
      busy.add(lookup.zone);
      lookup.begin();
    }
  };
  const add = (hostname: string): Lookup => {
    if (waiting.size >= waitingMax) throw new Error('too many names are being looked up');
    const zone = zoneOf(hostname);
    let begin = (): void => undefined;
    const begun = new Promise<void>((resolve) => {
      begin = resolve;
    });
    const end = (): void => {
      lookups.delete(hostname);
      busy.delete(zone);
      beginNext();
    };
    const found = begun.then(() => ask(hostname)).finally(end);
    // Whoever waited may have gone.
    found.catch(() => undefined);
    const lookup = { hostname, zone, found, begin, waiters: 0 };
    lookups.set(hostname, lookup);
    waiting.add(lookup);
    return lookup;
  };
  return async (hostname) => {
    const lookup = lookups.get(hostname) ?? add(hostname);
    lookup.waiters += 1;
    beginNext();
    try {
      return await within(lookup.found, waitMs);
    } finally {
      lookup.waiters -= 1;
      if (lookup.waiters === 0 && waiting.delete(lookup)) lookups.delete(hostname);
    }
  };
}

/** The last two labels: whose name server it is, more or less. */
function zoneOf(hostname: string): string {
  return hostname.toLowerCase().replace(/\.$/, '').split('.').slice(-2).join('.');
}

async function within<T>(promise: Promise<T>, waitMs: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`the name was not looked up within ${waitMs} ms`)), waitMs);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
