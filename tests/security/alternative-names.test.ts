import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { alternativeNames } from '../../src/security/alternative-names.ts';
import { Authority } from './authority.ts';

let authority: Authority;
beforeAll(async () => {
  authority = await Authority.create('names');
});

/** The names as Node.js shows those of a certificate. */
const shown = async (names: { type: 'url' | 'dns' | 'email'; value: string }[]): Promise<string | undefined> =>
  (await authority.issue('client', { names })).certificate.subjectAltName;

describe('the names of a certificate', () => {
  it('are what was put in, whatever characters they are made of', async () => {
    const part = fc.constantFrom(
      ', ',
      'DNS:',
      'URI:',
      '"',
      '\\',
      '\\u0041',
      ' ',
      'a',
      'gate-1.example',
      'spiffe://x/y',
      '\n',
      '\0',
      "'",
      ':',
      '/',
    );
    const value = fc.oneof(
      fc.array(part, { minLength: 1, maxLength: 6 }).map((parts) => parts.join('')),
      fc.string({ unit: 'binary-ascii', minLength: 1 }),
    );
    const name = fc.record({ type: fc.constantFrom('url' as const, 'dns' as const, 'email' as const), value });
    await fc.assert(
      fc.asyncProperty(fc.array(name, { minLength: 1, maxLength: 4 }), async (names) => {
        const expected = names
          .filter(({ type }) => type !== 'email')
          .map(({ type, value: text }) => `${type === 'url' ? 'URI' : 'DNS'}:${text}`);
        expect(alternativeNames(await shown(names))).toEqual(expected);
      }),
      { numRuns: 200 },
    );
  });

  it('of other kinds are passed over', async () => {
    const { certificate } = await authority.issue('x', {
      names: [
        { type: 'ip', value: '192.0.2.7' },
        { type: 'dn', value: 'CN=x, O=DNS:evil.example' },
        { type: 'dns', value: 'gate.example' },
        { type: 'upn', value: 'DNS:evil.example' },
        { type: 'id', value: '1.2.3.4' },
      ],
    });
    expect(alternativeNames(certificate.subjectAltName)).toEqual(['DNS:gate.example']);
  });

  it('are none without the extension, and bounded in number and length', async () => {
    expect(alternativeNames(undefined)).toEqual([]);
    expect(alternativeNames((await authority.issue('x')).certificate.subjectAltName)).toEqual([]);
    const many = Array.from({ length: 70 }, (_, at) => ({ type: 'dns' as const, value: `n${at}` }));
    expect(alternativeNames(await shown(many))).toHaveLength(64);
    expect(
      alternativeNames(
        await shown([
          { type: 'dns', value: 'x'.repeat(1025) },
          { type: 'dns', value: 'y' },
        ]),
      ),
    ).toEqual(['DNS:y']);
    expect(alternativeNames(`DNS:${'x'.repeat(70_000)}`)).toEqual([]);
  });

  it('are none at all where the text is of another form', () => {
    for (const text of ['gate.example', 'DNS:"a', 'DNS:"a"b', 'DNS:"a", ', 'DNS:a, b', 'DNS:"\\x"', 'DNS:"a\\"'])
      expect([text, alternativeNames(text)]).toEqual([text, []]);
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        for (const name of alternativeNames(text)) expect(name).toMatch(/^(?:URI|DNS):/);
      }),
    );
  });
});
