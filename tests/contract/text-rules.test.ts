import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { identifier, remark } from '../../src/contract/text-rules.ts';
import { check, enrollRules, expungeRules } from '../../src/contract/validation.ts';
import { EnrollRequest, Provenance } from '../../src/contract/generated/ridgewatch/v1/gallery.ts';
import { Failure } from '../../src/failure.ts';
import { UNLIMITED } from '../../src/store/records.ts';

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
    ['\u202eabc', 'invisible'],
    ['a\u2066b', 'invisible'],
    ['a\u200eb', 'invisible'],
    ['a\u061cb', 'invisible'],
    ['a\u200bb', 'invisible'],
    ['a\u200db', 'invisible'],
    ['\ufeffabc', 'invisible'],
    ['a\u00adb', 'invisible'],
    ['a\u034fb', 'invisible'],
    ['a\u3164b', 'invisible'],
    ['a\ufe0fb', 'invisible'],
    ['a\u{e0041}b', 'invisible'],
    ['a\ufffdb', 'valid Unicode'],
    ['a\ud800', 'valid Unicode'],
    ['\udc00b', 'valid Unicode'],
    ['a\uffffb', 'Unicode has not assigned'],
    ['a\ufdd0b', 'Unicode has not assigned'],
    ['a\u{1fffe}b', 'Unicode has not assigned'],
    ['a\u0378b', 'Unicode has not assigned'],
    [' abc', 'begin or end with white space'],
    ['abc ', 'begin or end with white space'],
    ['   ', 'begin or end with white space'],
    ['a\u00a0b', 'other than the space character'],
    ['a\u3000b', 'other than the space character'],
    ['a\u2028b', 'other than the space character'],
    ['a\u2800b', 'other than the space character'],
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
          ...UNLIMITED,
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
    ['a\u202eb', 'invisible'],
    ['\udc00', 'valid Unicode'],
    ['x'.repeat(201), 'at most 200'],
  ])('is rejected: %j', (reason, sentence) => {
    const request = { subjectId: '00000000-0000-4000-8000-000000000000', reason };
    expect(() => check(expungeRules, request)).toThrow(sentence);
  });
});
