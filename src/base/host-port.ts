/** Tells whether the text is HOST:PORT; an IPv6 address stands in brackets. */
export function isHostPort(text: string): boolean {
  return /^(\[[0-9A-Fa-f:.]+\]|[^[\]:/\s]+):\d{1,5}$/.test(text);
}
