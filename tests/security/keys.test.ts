import { mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import { KeyRing } from '../../src/security/key-ring.ts';
import { Keys } from '../../src/security/keys.ts';
import { temporaryDirectory } from '../cluster.ts';

let dataDir: string;
beforeEach(() => {
  dataDir = temporaryDirectory();
});
const keysOf = (keyFile?: string) => new Keys({ keyFile, dataDir });
const secret = Buffer.alloc(32, 7).toString('base64');

describe('a key ring', () => {
  it.each([
    ['nonsense', 'not JSON'],
    ['{}', 'not {"current"'],
    [JSON.stringify({ current: 'a', keys: { a: 'AAAA' } }), 'key a does not have 32 bytes'],
    [JSON.stringify({ current: 'b', keys: { a: secret } }), 'the current key b is not among them'],
    [JSON.stringify({ current: 'a', keys: { a: secret }, more: 1 }), 'not {"current"'],
  ])('refuses %s', (text, why) => {
    expect(() => KeyRing.parse(text, 'k.json')).toThrow(expect.objectContaining({ reason: 'KEYS_INVALID' }));
    expect(() => KeyRing.parse(text, 'k.json')).toThrow(why);
  });

  it('never quotes a secret', () => {
    const text = `{"current": "a", "keys": {"a": "${secret}"}`;
    expect(() => KeyRing.parse(text, 'k.json')).toThrow(expect.not.stringContaining(secret) as string);
  });

  it('is equal after it is written and read', () => {
    const ring = KeyRing.create(new Date(0)).withNewKey(new Date(1));
    const again = KeyRing.parse(ring.serialise(), 'k.json');
    expect(again.ids).toEqual(ring.ids);
    expect(again.currentId).toBe(ring.currentId);
    for (const id of ring.ids)
      expect(again.derive(id, 'template')?.export()).toEqual(ring.derive(id, 'template')?.export());
  });

  it('derives a different key for each purpose', () => {
    const ring = KeyRing.create(new Date(0));
    const derived = (['template', 'index', 'backup'] as const).map((purpose) => ring.derive(ring.currentId, purpose));
    expect(new Set(derived.map((key) => key?.export().toString('hex'))).size).toBe(3);
  });

  it('cannot lose its current key', () => {
    const ring = KeyRing.create(new Date(0));
    expect(() => ring.without(ring.currentId)).toThrow(expect.objectContaining({ reason: 'KEY_IN_USE' }));
    const rotated = ring.withNewKey(new Date(1));
    expect(rotated.without(ring.currentId).ids).toEqual([rotated.currentId]);
    expect(() => ring.without('other')).toThrow(expect.objectContaining({ reason: 'KEY_MISSING' }));
  });
});

describe('keys', () => {
  it('are created at first use, readable by their owner only', async () => {
    expect(await keysOf().open(false)).toBe(true);
    expect(statSync(join(dataDir, 'keys.json')).mode & 0o777).toBe(0o600);
    expect(await keysOf().open(false)).toBe(false);
  });

  it('are not created where existing keys are needed, or another file is named', async () => {
    const unreadable = expect.objectContaining({ reason: 'KEYS_UNREADABLE' }) as Error;
    await expect(keysOf().open(true)).rejects.toThrow(unreadable);
    await expect(keysOf(join(dataDir, 'misspelt.json')).open(false)).rejects.toThrow(unreadable);
    mkdirSync(join(dataDir, 'keys.json'));
    await expect(keysOf().open(true)).rejects.toThrow(unreadable);
  });

  it('open exactly what they sealed', async () => {
    const keys = keysOf();
    await keys.open(false);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.string(), fc.nat(), (plain, context, position) => {
        const { keyId, bytes } = keys.seal(plain, 'template', context);
        expect(new Uint8Array(keys.unseal({ keyId, bytes }, 'template', context))).toEqual(plain);
        const damaged = Uint8Array.from(bytes);
        damaged[position % damaged.length] ^= 1 << (position % 8);
        const failure = expect.objectContaining({ reason: 'SEALED_DATA_DAMAGED' }) as Error;
        expect(() => keys.unseal({ keyId, bytes: damaged }, 'template', context)).toThrow(failure);
        expect(() => keys.unseal({ keyId, bytes }, 'template', `${context}!`)).toThrow(failure);
        expect(() => keys.unseal({ keyId, bytes }, 'index', context)).toThrow(failure);
        expect(() => keys.unseal({ keyId, bytes: bytes.subarray(0, position % 28) }, 'template', context)).toThrow(
          failure,
        );
      }),
    );
  });

  it('seal equal data to different bytes', async () => {
    const keys = keysOf();
    await keys.open(false);
    const seal = () => Buffer.from(keys.seal(Uint8Array.of(1, 2, 3), 'template', 'x').bytes).toString('hex');
    expect(seal()).not.toBe(seal());
  });

  it('follow a rotation by another process', async () => {
    const [here, there] = [keysOf(), keysOf()];
    await here.open(false);
    await there.open(false);
    await there.replace(there.ring.withNewKey(new Date()));
    const sealed = there.seal(Uint8Array.of(9), 'template', 'x');
    expect(new Uint8Array(here.unseal(sealed, 'template', 'x'))).toEqual(Uint8Array.of(9));
    expect(here.ring.currentId).toBe(there.ring.currentId);
  });

  it('keep working when the file can no longer be read', async () => {
    const keys = keysOf();
    await keys.open(false);
    const { currentId } = keys.ring;
    writeFileSync(keys.file, readFileSync(keys.file).subarray(5));
    expect(keys.refresh()).toMatchObject({ reason: 'KEYS_INVALID' });
    rmSync(keys.file);
    keys.refresh();
    expect(keys.ring.currentId).toBe(currentId);
    expect(() => keys.key('unknown', 'template')).toThrow(expect.objectContaining({ reason: 'KEY_MISSING' }));
  });
});
