const PORT_MAX = 65_535;

/** Tells whether the text is HOST:PORT; an IPv6 address stands in brackets. */
export function isHostPort(text: string): boolean {
  const port = /^(?:\[[0-9A-Fa-f:.]+\]|[^[\]:/\s]+):(\d{1,5})$/.exec(text)?.[1];
  return port !== undefined && Number(port) <= PORT_MAX;
}
