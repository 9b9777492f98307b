import fc from 'fast-check';
import { expect, it } from 'vitest';
import { PageTokens } from '../../src/api/page-token.ts';

const invalid = expect.objectContaining({
  reason: 'PAGE_TOKEN_INVALID',
  detail: { field: 'page_token' },
}) as Error;
const filters = fc.string();

it('a page token returns the subject it was made from', () => {
  const tokens = new PageTokens();
  fc.assert(
    fc.property(fc.uuid(), filters, (id, filter) => {
      expect(tokens.read(tokens.make(id, filter), filter)).toBe(id);
    }),
  );
});

it('does not show the subject that it was made from', () => {
  fc.assert(
    fc.property(fc.uuid(), filters, (id, filter) => {
      const token = Buffer.from(new PageTokens().make(id, filter), 'base64url').toString('hex');
      const digits = id.replaceAll('-', '');
      for (let at = 0; at + 8 <= digits.length; at += 2) expect(token).not.toContain(digits.slice(at, at + 8));
    }),
  );
});

it('is rejected for a listing with other filters', () => {
  const tokens = new PageTokens();
  fc.assert(
    fc.property(fc.uuid(), filters, filters, (id, filter, other) => {
      fc.pre(filter !== other);
      expect(() => tokens.read(tokens.make(id, filter), other)).toThrow(invalid);
    }),
  );
});

it('is rejected when a bit is changed, or a byte is missing or added', () => {
  const tokens = new PageTokens();
  fc.assert(
    fc.property(fc.uuid(), fc.nat(28 * 8 - 1), (id, bit) => {
      const bytes = Buffer.from(tokens.make(id, 'filter'), 'base64url');
      expect(bytes).toHaveLength(28);
      const changed = Buffer.from(bytes);
      changed[bit >> 3] ^= 1 << (bit & 7);
      for (const wrong of [
        changed,
        bytes.subarray(1),
        bytes.subarray(0, -1),
        Buffer.concat([bytes, bytes.subarray(0, 1)]),
      ])
        expect(() => tokens.read(wrong.toString('base64url'), 'filter')).toThrow(invalid);
    }),
  );
});

it('is rejected by another service, and when it is invented', () => {
  const token = new PageTokens().make('0b9f2a4c-6a55-4f3e-9a53-0c1f6d8f9f10', '');
  for (const wrong of [token, 'made-up', 'A'.repeat(38), 'A'.repeat(4000), ''])
    expect(() => new PageTokens().read(wrong, '')).toThrow(invalid);
});

it('is rejected with any trailing characters', () => {
  const tokens = new PageTokens();
  const token = tokens.make('0b9f2a4c-6a55-4f3e-9a53-0c1f6d8f9f10', '');
  for (const more of [' ', '=', '!', 'A', 'A'.repeat(4000)])
    expect(() => tokens.read(token + more, '')).toThrow(invalid);
});
