/**
 * Rules for text that callers make up. What is stored is what was sent: nothing is normalised, and what could be taken for
 * something else is refused.
 */
import { z } from 'zod';

/** What invalid UTF-8 becomes when a message is read: different texts become the same. */
const REPLACEMENT = /\ufffd/u;
const CONTROL = /\p{Cc}/u;
/** Marks of writing direction, joiners, selectors, fillers, tags: nothing that anybody sees. */
const UNSEEN = /[\p{Cf}\p{Default_Ignorable_Code_Point}]/u;
/** Line and paragraph separators, and all blanks but the space: they look like one, or like nothing. */
const BLANK = /[\p{Zl}\p{Zp}]|(?! )\p{Zs}/u;
/** The braille pattern without dots is a symbol, and looks like a blank. */
const BLANK_SYMBOL = /\u2800/u;
const UNASSIGNED = /\p{Cn}/u;

/** Text in which no character is hidden. */
function visibleText() {
  return z
    .string()
    .refine((text) => text.isWellFormed() && !REPLACEMENT.test(text), 'must be valid Unicode')
    .refine((text) => !CONTROL.test(text), 'must not hold control characters')
    .refine((text) => !UNSEEN.test(text), 'must not hold characters that cannot be seen')
    .refine(
      (text) => !text.isWellFormed() || !UNASSIGNED.test(text),
      'must not hold characters that Unicode does not know',
    )
    .refine((text) => !BLANK.test(text) && !BLANK_SYMBOL.test(text), 'must not hold other blanks than the space');
}

/** Text that tells one thing from another: no two that look alike for how they are written. */
export const identifier = visibleText()
  .max(128, 'must have at most 128 characters')
  .refine((text) => text === text.trim(), 'must not begin or end with a blank')
  .refine((text) => text === text.normalize('NFC'), "must be in Unicode's composed form (NFC)");

/** A sentence of a caller's, for people. */
export const remark = visibleText()
  .refine((text) => text.trim() !== '', 'is required')
  .refine((text) => text.length <= 200, 'must have at most 200 characters');
