const KINDS: ReadonlySet<string> = new Set(['URI', 'DNS']);
/** More than any client needs. */
const MAX_NAMES = 64;
const MAX_LENGTH = 1024;
const MAX_TEXT = 65_536;

/**
 * The URIs and DNS names of a certificate, from the text that Node.js makes of the extension: `KIND:value`, separated by
 * a comma and a space. A value with a quotation mark, a comma, a backslash or a control character is a JSON string
 * there: a name cannot pass for two. Further names than sixty-four, and longer ones than 1,024 characters, are left out.
 * @param text - `X509Certificate.subjectAltName`
 * @returns `URI:…` and `DNS:…`, with the values as they are; nothing at all if the text is not of this form
 */
export function alternativeNames(text: string | undefined): readonly string[] {
  if (text === undefined || text.length > MAX_TEXT) return [];
  const names: string[] = [];
  for (let at = 0; at < text.length;) {
    const colon = text.indexOf(':', at);
    if (colon < 0) return [];
    const end = endOfValue(text, colon + 1);
    const value = end === undefined ? undefined : valueOf(text.slice(colon + 1, end));
    if (end === undefined || value === undefined) return [];
    const kind = text.slice(at, colon);
    if (KINDS.has(kind) && value.length <= MAX_LENGTH && names.length < MAX_NAMES) names.push(`${kind}:${value}`);
    at = end === text.length ? end : end + 2;
    if (at === text.length && at !== end) return [];
  }
  return names;
}

/** Where a value ends: before a comma and a space, or at the end of the text. Undefined: it does not end properly. */
function endOfValue(text: string, from: number): number | undefined {
  if (text[from] !== '"') {
    const comma = text.indexOf(', ', from);
    return comma < 0 ? text.length : comma;
  }
  let at = from + 1;
  while (at < text.length && text[at] !== '"') at += text[at] === '\\' ? 2 : 1;
  const end = at + 1;
  return end === text.length || (end < text.length && text.startsWith(', ', end)) ? end : undefined;
}

function valueOf(text: string): string | undefined {
  if (!text.startsWith('"')) return text;
  try {
    return JSON.parse(text) as string;
  } catch {
    return undefined;
  }
}
