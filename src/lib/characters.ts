/**
 * Lengths of text as the contract counts them: in characters (code points), as JSON Schema's maxLength does, so that what a client checks
 * against /openapi.json is what apply allows. UTF-16 units, which `length` counts, are up to twice as many.
 */
export function hasAtMost(chars: number, text: string): boolean {
  if (text.length <= chars) return true;
  return text.length <= 2 * chars && Array.from(text).length <= chars;
}
