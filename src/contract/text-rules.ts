/** Rules for free text from callers. Text is stored as sent, without normalization; ambiguous text is refused. */
import { z } from 'zod';

/** Decoding turns invalid UTF-8 into this character, which makes different texts equal. */
const REPLACEMENT = /\ufffd/u;
const CONTROL = /\p{Cc}/u;
/** Invisible characters: bidirectional marks, joiners, variation selectors, fillers, tags. */
const UNSEEN = /[\p{Cf}\p{Default_Ignorable_Code_Point}]/u;
/** Line and paragraph separators, and all white space except the space character. */
const BLANK = /[\p{Zl}\p{Zp}]|(?! )\p{Zs}/u;
/** The empty braille pattern is a symbol but looks like a space. */
const BLANK_SYMBOL = /\u2800/u;
const UNASSIGNED = /\p{Cn}/u;

/** Text without invisible characters. */
function visibleText() {
  return z
    .string()
    .refine((text) => text.isWellFormed() && !REPLACEMENT.test(text), 'must be valid Unicode')
    .refine((text) => !CONTROL.test(text), 'must not contain control characters')
    .refine((text) => !UNSEEN.test(text), 'must not contain invisible characters')
    .refine(
      (text) => !text.isWellFormed() || !UNASSIGNED.test(text),
      'must not contain characters that Unicode has not assigned',
    )
    .refine(
      (text) => !BLANK.test(text) && !BLANK_SYMBOL.test(text),
      'must not contain white space other than the space character',
    );
}

/** Text that identifies something: two different identifiers cannot look the same because of their encoding. */
export const identifier = visibleText()
  .max(128, 'must have at most 128 characters')
  .refine((text) => text === text.trim(), 'must not begin or end with white space')
  .refine((text) => text === text.normalize('NFC'), 'must be in Unicode normalization form C (NFC)');

/** Text for people to read, which may be empty. @param most - in UTF-16 code units */
export function optionalText(most: number) {
  return visibleText().refine((text) => text.length <= most, `must have at most ${most} characters`);
}

/** A sentence from a caller, for people to read. */
export const remark = visibleText()
  .refine((text) => text.trim() !== '', 'is required')
  .refine((text) => text.length <= 200, 'must have at most 200 characters');

/** A comment from a caller, which may be empty. */
export const comment = visibleText().max(500, 'must have at most 500 characters');
