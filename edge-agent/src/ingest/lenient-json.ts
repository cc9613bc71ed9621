/** What Python, C (also Microsoft's) and others print for values that JSON has no words for. */
const NOT_FINITE = /^[+-]?(nan(\(\w*\))?|inf(inity)?|\d\.#\w+)$/i;
/** What JSON itself has besides texts, lists and objects (RFC 8259, 3 and 6). */
const JSON_ATOM = /^(true|false|null|-?(0|[1-9]\d*)(\.\d+)?(e[+-]?\d+)?)$/i;
/**
 * A text in quotes, also one that has no end, or what lies between two signs of JSON. Every part of it takes what it can and always matches, so
 * that no payload costs more than one pass.
 */
const TEXT_OR_ATOM = /"(?:[^"\\]|\\[\s\S]?)*(?:"|$)|[^\s[\]{}:,"]+/g;
const COLON_NEXT = /\s*:/y;
/** Written as they are, which JSON forbids within a text (RFC 8259, 7). */
const CONTROL = /\p{Cc}/gu;
/** In the place of bytes that are no UTF-8. */
const REPLACEMENT = '\uFFFD';

/** Whether a text is how a language prints NaN or an infinity. */
export const isNotFinite = (text: string): boolean => NOT_FINITE.test(text);

/**
 * Reads what is JSON but for single values, so that each of these can be refused by itself:
 *
 * - NaN and infinities become an infinity, which no value can be;
 * - other words, and numbers that JSON does not know (`None`, `0x1F`, `007`), become texts;
 * - texts with bytes that are no UTF-8 become `false` where they are a value, and a name that no metric may have where they are a name;
 * - control characters in a text stay what they are.
 *
 * @returns undefined if the structure is not JSON's.
 */
export function parseLeniently(text: string): unknown {
  const mended = text.replace(TEXT_OR_ATOM, (token: string, at: number) =>
    token.startsWith('"') ? mendText(token, at, text) : mendAtom(token, at, text),
  );
  try {
    return JSON.parse(mended);
  } catch {
    return undefined;
  }
}

function mendText(token: string, at: number, text: string): string {
  // Of two names that differ in what can't be read, each is refused: the place tells them apart.
  if (token.includes(REPLACEMENT)) return isName(token, at, text) ? `"\\u0000${at}"` : 'false';
  return token.replace(CONTROL, (sign) => `\\u${sign.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

function mendAtom(token: string, at: number, text: string): string {
  // A name without quotes is another language than JSON.
  if (JSON_ATOM.test(token) || isName(token, at, text)) return token;
  if (isNotFinite(token)) return token.startsWith('-') ? '-1e999' : '1e999';
  return JSON.stringify(token);
}

function isName(token: string, at: number, text: string): boolean {
  COLON_NEXT.lastIndex = at + token.length;
  return COLON_NEXT.test(text);
}
