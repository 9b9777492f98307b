/**
 * Scans JSON before it is parsed, for its size, its nesting depth and repeated fields in an object, which parsing would
 * silently accept. Parsing detects all other faults.
 */
import { Failure } from '../failure.ts';

/** Deeper than any message of the contract. */
const MAX_DEPTH = 16;
/** Limit on brackets, commas, colons and strings: ten times the number in the largest request. */
const MAX_PARTS = 10_000;

const [QUOTE, BACKSLASH, COMMA, COLON] = [0x22, 0x5c, 0x2c, 0x3a] as const;
const [OPEN_BRACKET, CLOSE_BRACKET, OPEN_BRACE, CLOSE_BRACE] = [0x5b, 0x5d, 0x7b, 0x7d] as const;

/**
 * @param fieldOf - maps both spellings of a field name to one
 * @throws Failure REQUEST_TOO_COMPLEX, FIELD_REPEATED, REQUEST_UNREADABLE
 */
export function checkJsonText(bytes: Uint8Array, fieldOf: (key: string) => string): void {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  /** The open objects, each as the set of its field names; undefined for a list. */
  const open: (Set<string> | undefined)[] = [];
  let isKeyNext = false;
  let parts = 0;
  for (let at = 0; at < text.length; at++) {
    const byte = text[at];
    switch (byte) {
      case QUOTE: {
        const end = endOfString(text, at, MAX_PARTS - parts);
        const fields = open.at(-1);
        if (isKeyNext && fields !== undefined) {
          const field = fieldOf(stringAt(text, at, end));
          if (fields.has(field)) throw repeated();
          fields.add(field);
        }
        isKeyNext = false;
        at = end;
        break;
      }
      case OPEN_BRACE:
      case OPEN_BRACKET:
        open.push(byte === OPEN_BRACE ? new Set() : undefined);
        if (open.length > MAX_DEPTH) throw tooComplex(`The JSON is nested more than ${MAX_DEPTH} levels deep.`);
        isKeyNext = byte === OPEN_BRACE;
        break;
      case CLOSE_BRACE:
      case CLOSE_BRACKET:
        open.pop();
        isKeyNext = false;
        break;
      case COMMA:
        isKeyNext = open.at(-1) !== undefined;
        break;
      case COLON:
        isKeyNext = false;
        break;
      default:
        continue;
    }
    if (++parts > MAX_PARTS) throw tooManyParts();
  }
}

/** Offset of the quote that ends the string. */
function endOfString(text: Buffer, start: number, maxQuotes: number): number {
  let end = text.indexOf(QUOTE, start + 1);
  for (let quotes = 0; end >= 0; quotes++) {
    let backslashes = 0;
    while (text[end - 1 - backslashes] === BACKSLASH && end - 1 - backslashes > start) backslashes++;
    if (backslashes % 2 === 0) return end;
    if (quotes > maxQuotes) throw tooManyParts();
    end = text.indexOf(QUOTE, end + 1);
  }
  throw unreadable();
}

function stringAt(text: Buffer, start: number, end: number): string {
  try {
    return JSON.parse(text.toString('utf8', start, end + 1)) as string;
  } catch {
    throw unreadable();
  }
}

export function unreadable(): Failure {
  return new Failure('invalid-argument', 'REQUEST_UNREADABLE', 'The text is not a JSON object in UTF-8.');
}

function tooManyParts(): Failure {
  return tooComplex(`The JSON has more than ${MAX_PARTS} brackets, commas, colons and strings.`);
}

function tooComplex(sentence: string): Failure {
  return new Failure('invalid-argument', 'REQUEST_TOO_COMPLEX', sentence);
}

function repeated(): Failure {
  const sentence = 'An object has the same field twice, perhaps once in camel case and once in snake case.';
  return new Failure('invalid-argument', 'FIELD_REPEATED', sentence);
}
