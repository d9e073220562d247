/**
 * The rule for names of namespaces, services and instances. Also what makes `/` a safe separator in record keys.
 */

export const nameRule = "1-128 characters of A-Z a-z 0-9 . _ : @ -, starting with a letter or digit" as const;

const namePattern = /^[A-Za-z0-9][A-Za-z0-9._:@-]{0,127}$/;

export function isName(text: string): boolean {
  return namePattern.test(text);
}

/** Order of names and keys: by UTF-16 code unit, equal on every machine whatever its locale. */
export function compareText(left: string, right: string): number {
  if (left === right) return 0;
  return left < right ? -1 : 1;
}
