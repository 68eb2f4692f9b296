const USER_INFO = /\/\/[^/@\s]*@/g;

/** Hides the user and password of URLs in a text. Secrets have files of their own, so nothing else needs hiding. */
export function redact(text: string): string {
  return text.replace(USER_INFO, '//***@');
}
