/** The file of providers: what it may say, and how a fault in it is named. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Failure } from '../../src/failure.ts';
import { readProviderFile } from '../../src/sign-in/provider-file.ts';
import { temporaryDirectory } from '../cluster.ts';

const folder = temporaryDirectory();
const file = join(folder, 'providers.json');
const GOOD = { issuer: 'https://id.example/realm', audience: 'ridgewatch', agency: 'agency-a' };

function read(content: unknown) {
  writeFileSync(file, typeof content === 'string' ? content : JSON.stringify(content));
  return readProviderFile(file);
}
const one = (changes: object) => ({ providers: [{ ...GOOD, ...changes }] });

function sentence(content: unknown): string {
  try {
    read(content);
    return 'read';
  } catch (error) {
    const { kind, reason, message, detail } = error as Failure;
    expect([kind, reason, detail.field]).toEqual(['failed-precondition', 'OIDC_INVALID', 'RIDGEWATCH_OIDC_FILE']);
    return message.replace(`RIDGEWATCH_OIDC_FILE, the file ${file}: `, '');
  }
}

describe('a file of providers', () => {
  it('has defaults', () => {
    expect(read(one({}))).toEqual({
      providers: [
        {
          ...GOOD,
          clients: ['ridgewatch'],
          jwksUri: undefined,
          jwksFile: undefined,
          authorities: undefined,
          secondFactor: undefined,
          maxAgeSeconds: 3600,
        },
      ],
      files: [file],
    });
    expect(read({ providers: [] }).providers).toEqual([]);
  });

  it('names other files relative to itself', () => {
    expect(read(one({ jwks_file: 'keys/a.jwks' })).files).toEqual([file, join(folder, 'keys/a.jwks')]);
  });

  it.each([
    ['{', 'is not JSON.'],
    ['x'.repeat(65_537), 'has more than 65536 bytes.'],
    [[], 'the whole is missing, or is not of type object.'],
    [{ providers: Array(33).fill(GOOD) }, 'providers has more than 32 entries.'],
    [{ providers: [GOOD, GOOD] }, 'providers names an issuer twice.'],
    [one({ audience: undefined }), 'providers[0].audience is missing, or is not of type string.'],
    [one({ secret: 'hunter2' }), 'providers[0] has a key that is not known.'],
    [one({ issuer: 'http://id.example' }), 'providers[0].issuer is not an https URL.'],
    [one({ issuer: 'https://user:hunter2@id.example' }), 'providers[0].issuer is not an https URL.'],
    [one({ issuer: 'https://id.example/a b' }), 'providers[0].issuer is not an https URL.'],
    [one({ issuer: 'https://id.example?realm=a' }), 'providers[0].issuer has a query.'],
    [one({ jwks_uri: 'http://127.0.0.1.example/keys' }), 'providers[0].jwks_uri is not an https URL.'],
    [one({ jwks_uri: 'https://id.example', jwks_file: 'a' }), 'providers[0].jwks_file goes without jwks_uri.'],
    [one({ agency: 'a b' }), 'providers[0].agency is not the name of an agency.'],
    [one({ second_factor: {} }), 'providers[0].second_factor names no value.'],
    [one({ max_age_seconds: 86_401 }), 'providers[0].max_age_seconds is more than 86400.'],
    [one({ clients: [] }), 'providers[0].clients is empty.'],
    [one({ ca_file: 'missing.pem' }), 'names a ca_file that cannot be read, or holds no complete certificate in PEM.'],
  ])('with a fault is refused in one sentence that quotes nothing: %#', (content, expected) => {
    expect(sentence(content)).toBe(expected);
  });

  it('that does not exist is refused', () => {
    expect(() => readProviderFile(join(folder, 'missing.json'))).toThrow('cannot be read (ENOENT)');
  });

  it('may name a provider without TLS on the loopback address only', () => {
    for (const host of ['localhost:9000', '127.0.0.1', '[::1]:9000'])
      expect(sentence(one({ issuer: `http://${host}` }))).toBe('read');
    for (const host of ['localhost.example', '10.0.0.1', '[::2]'])
      expect(sentence(one({ issuer: `http://${host}` }))).not.toBe('read');
  });

  it('with any content is read or refused', () => {
    fc.assert(
      fc.property(fc.oneof(fc.json(), fc.record({ providers: fc.array(fc.object({ maxDepth: 2 })) })), (content) => {
        sentence(content);
      }),
      { numRuns: 50 },
    );
  });
});
