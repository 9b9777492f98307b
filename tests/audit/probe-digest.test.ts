import fc from 'fast-check';
import { beforeAll, expect, it } from 'vitest';
import { ProbeDigest } from '../../src/audit/probe-digest.ts';
import type { Keys } from '../../src/security/keys.ts';
import { temporaryKeys } from '../keys.ts';

let keys: Keys;
let digest: ProbeDigest;

beforeAll(async () => {
  keys = temporaryKeys();
  await keys.open(false);
  digest = new ProbeDigest(keys);
});

it('is equal for equal samples alone, however they are cut', () => {
  const samples = fc.array(fc.uint8Array({ maxLength: 8 }), { maxLength: 4 });
  const same = (a: readonly Uint8Array[], b: readonly Uint8Array[]) =>
    a.length === b.length && a.every((sample, i) => Buffer.from(sample).equals(b[i] ?? Buffer.alloc(0)));
  fc.assert(
    fc.property(samples, samples, (a, b) => {
      expect(digest.of(a) === digest.of(b)).toBe(same(a, b));
    }),
  );
  expect(digest.of([Buffer.from('ab'), Buffer.from('c')])).not.toBe(digest.of([Buffer.from('a'), Buffer.from('bc')]));
});

it('depends on the key, and can be asked for after a rotation', async () => {
  const samples = [Buffer.from('a template')];
  const before = digest.of(samples);
  const [keyId = ''] = before.split(':');
  await keys.replace(keys.ring.withNewKey(new Date()));
  expect(digest.of(samples)).not.toBe(before);
  expect(digest.of(samples, keyId)).toBe(before);
  const strange = temporaryKeys();
  await strange.open(false);
  expect(new ProbeDigest(strange).of(samples).split(':')[1]).not.toBe(before.split(':')[1]);
});

it('is a name that an audit record takes', () => {
  expect(digest.of([Buffer.from('x')])).toMatch(/^[A-Za-z0-9._-]{1,64}:[A-Za-z0-9_-]{43}$/);
});
