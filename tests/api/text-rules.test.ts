import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { identifier, remark } from '../../src/api/text-rules.ts';
import { check, enrollRules, expungeRules } from '../../src/api/validation.ts';
import { EnrollRequest, Provenance } from '../../src/api/generated/ridgewatch/v1/gallery.ts';
import { Failure } from '../../src/failure.ts';

const messages = (rule: typeof identifier, text: string) =>
  rule.safeParse(text).error?.issues.map(({ message }) => message) ?? [];

describe('an external id', () => {
  it.each(['', '4711', 'A-17/b', 'Müller', 'Łódź 3', '東京-12', 'агент_7', 'معرف٣', 'a b', 'x'.repeat(128)])(
    'may be %j',
    (id) => {
      expect(messages(identifier, id)).toEqual([]);
    },
  );

  it.each([
    ['a\u0000', 'control'],
    ['a\u0085b', 'control'],
    ['a\u009fb', 'control'],
    ['a\u007f', 'control'],
    ['a\tb', 'control'],
    ['\u202eabc', 'cannot be seen'],
    ['a\u2066b', 'cannot be seen'],
    ['a\u200eb', 'cannot be seen'],
    ['a\u061cb', 'cannot be seen'],
    ['a\u200bb', 'cannot be seen'],
    ['a\u200db', 'cannot be seen'],
    ['\ufeffabc', 'cannot be seen'],
    ['a\u00adb', 'cannot be seen'],
    ['a\u034fb', 'cannot be seen'],
    ['a\u3164b', 'cannot be seen'],
    ['a\ufe0fb', 'cannot be seen'],
    ['a\u{e0041}b', 'cannot be seen'],
    ['a\ufffdb', 'valid Unicode'],
    ['a\ud800', 'valid Unicode'],
    ['\udc00b', 'valid Unicode'],
    ['a\uffffb', 'Unicode does not know'],
    ['a\ufdd0b', 'Unicode does not know'],
    ['a\u{1fffe}b', 'Unicode does not know'],
    ['a\u0378b', 'Unicode does not know'],
    [' abc', 'begin or end with a blank'],
    ['abc ', 'begin or end with a blank'],
    ['   ', 'begin or end with a blank'],
    ['a\u00a0b', 'other blanks'],
    ['a\u3000b', 'other blanks'],
    ['a\u2028b', 'other blanks'],
    ['a\u2800b', 'other blanks'],
    ['Mu\u0308ller', 'NFC'],
    ['\u212bngstrom', 'NFC'],
    ['x'.repeat(129), 'at most 128'],
  ])('is rejected: %j', (id, sentence) => {
    expect(messages(identifier, id).join('; ')).toContain(sentence);
  });

  it('equals another only when the bytes are equal, once written and read', () => {
    const text = fc.string({ unit: 'binary', maxLength: 20 });
    fc.assert(
      fc.property(text, (id) => {
        if (messages(identifier, id).length > 0) return;
        expect(Buffer.from(id, 'utf8').toString('utf8')).toBe(id);
        expect(id.normalize('NFC').trim()).toBe(id);
      }),
    );
  });

  it('in bytes that are not UTF-8 is rejected, whichever they are', () => {
    const of = (bytes: number[]) => {
      const id = Buffer.from('a?b');
      const request = EnrollRequest.encode({
        data: {
          contributor: 'c',
          externalId: id.toString(),
          galleries: ['g'],
          caveats: [],
          provenance: Provenance.FIELD,
          expireTime: undefined,
        },
        samples: [],
        clientRequestId: '',
      }).finish();
      const at = Buffer.from(request).indexOf(id) + 1;
      request.set(bytes, at);
      return EnrollRequest.decode(request);
    };
    for (const byte of [0x80, 0xbf, 0xc0, 0xe0, 0xff]) {
      let refused: Failure | undefined;
      try {
        check(enrollRules, of([byte]));
      } catch (error) {
        if (error instanceof Failure) refused = error;
      }
      expect(refused?.detail.violations).toContainEqual({
        field: 'data.external_id',
        description: 'must be valid Unicode',
      });
    }
  });
});

describe('the reason of an expunction', () => {
  it('may be a sentence with surrounding blanks', () => {
    expect(messages(remark, ' asked for by the court, 3/2026 ')).toEqual([]);
  });

  it.each([
    ['   ', 'is required'],
    ['\u0000', 'control'],
    ['a\nb', 'control'],
    ['a\u202eb', 'cannot be seen'],
    ['\udc00', 'valid Unicode'],
    ['x'.repeat(201), 'at most 200'],
  ])('is rejected: %j', (reason, sentence) => {
    const request = { subjectId: '00000000-0000-4000-8000-000000000000', reason };
    expect(() => check(expungeRules, request)).toThrow(sentence);
  });
});
