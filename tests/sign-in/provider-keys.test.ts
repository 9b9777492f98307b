/** Keys of a provider that rotates them, is away, or is asked for keys that it does not have. */
import type { JSONWebKeySet } from 'jose';
import { beforeEach, describe, expect, it } from 'vitest';
import type { Failure } from '../../src/failure.ts';
import { KEY_TIMES, ProviderKeys } from '../../src/sign-in/provider-keys.ts';
import { signingKey, type SigningKey } from './local-provider.ts';

let published: SigningKey[];
let isAway: boolean;
let readings: number;
let clock: number;
let told: unknown[];
let keys: ProviderKeys;
/** Holds readings up. */
let gate: Promise<void>;

beforeEach(async () => {
  published = [await signingKey()];
  [isAway, readings, clock, told] = [false, 0, 0, []];
  gate = Promise.resolve();
  keys = new ProviderKeys({
    read: async (): Promise<JSONWebKeySet> => {
      readings++;
      await gate;
      if (isAway) throw new Error('away');
      return { keys: published.map(({ publicJwk }) => publicJwk) };
    },
    told: (error) => void told.push(error),
    now: () => clock,
  });
});

/** `found`, or the reason. */
async function find({ kid, alg }: { readonly kid: string; readonly alg: string }): Promise<string> {
  try {
    return (await keys.find({ kid, alg })).type === 'public' ? 'found' : 'private';
  } catch (error) {
    return (error as Failure).reason;
  }
}
const unknown = (i: number) => ({ kid: `made-up-${i}`, alg: 'ES256' });

describe('a provider that rotates its keys', () => {
  it('has a new key known at once, if the keys were not just read', async () => {
    const old = published[0];
    expect(await find(old)).toBe('found');
    const added = await signingKey();
    published = [added];
    expect(await find(added)).toBe('SIGN_IN_KEY_UNKNOWN');
    clock += KEY_TIMES.cooldownMs;
    expect(await find(added)).toBe('found');
    expect(await find(old)).toBe('SIGN_IN_KEY_UNKNOWN');
    expect(readings).toBe(2);
  });

  it('has a withdrawn key trusted until the next regular reading', async () => {
    const old = published[0];
    await keys.keepUp();
    published = [await signingKey()];
    clock += KEY_TIMES.refreshMs - 1;
    await keys.keepUp();
    expect(await find(old)).toBe('found');
    clock += 1;
    await keys.keepUp();
    expect(await find(old)).toBe('SIGN_IN_KEY_UNKNOWN');
  });
});

describe('a provider that is away', () => {
  it('at the start lets its persons in as soon as it is back', async () => {
    isAway = true;
    const [key] = published as [SigningKey];
    await keys.keepUp();
    expect(await find(key)).toBe('SIGN_IN_KEYS_UNAVAILABLE');
    isAway = false;
    await keys.keepUp();
    expect(await find(key)).toBe('SIGN_IN_KEYS_UNAVAILABLE');
    clock += KEY_TIMES.cooldownMs;
    await keys.keepUp();
    expect(await find(key)).toBe('found');
    expect(told.map((error) => error === undefined)).toEqual([false, true]);
  });

  it('later has its keys known for an hour, and no longer', async () => {
    const [key] = published as [SigningKey];
    await keys.keepUp();
    isAway = true;
    clock = KEY_TIMES.keepMs - 1;
    await keys.keepUp();
    expect(await find(key)).toBe('found');
    expect(await find(unknown(0))).toBe('SIGN_IN_KEYS_UNAVAILABLE');
    clock += 1;
    expect(await find(key)).toBe('SIGN_IN_KEYS_UNAVAILABLE');
  });
});

describe('made-up names of keys', () => {
  it('cause one reading in a while, however many they are, and do not delay persons with a known key', async () => {
    const [key] = published as [SigningKey];
    await keys.keepUp();
    clock += KEY_TIMES.cooldownMs;
    let open: () => void = () => undefined;
    gate = new Promise((resolve) => (open = resolve));
    const flood = Array.from({ length: 500 }, (_, i) => find(unknown(i)));
    expect(await find(key)).toBe('found');
    open();
    const outcomes = await Promise.all(flood);
    expect(readings).toBe(2);
    // Those beyond the limit of waiting calls are told to come again.
    const refused = outcomes.filter((one) => one === 'SIGN_IN_KEYS_UNAVAILABLE').length;
    expect(outcomes.filter((one) => one === 'SIGN_IN_KEY_UNKNOWN').length).toBe(500 - refused);
    expect(refused).toBe(400);
    for (let i = 0; i < 500; i++) expect(await find(unknown(i))).toBe('SIGN_IN_KEY_UNKNOWN');
    expect(readings).toBe(2);
  });
});

it('a token without the name of a key is taken where the provider has one key for its algorithm only', async () => {
  const unnamed = { alg: 'ES256' };
  expect((await keys.find(unnamed)).type).toBe('public');
  published.push(await signingKey());
  clock += KEY_TIMES.refreshMs;
  await keys.keepUp();
  await expect(keys.find(unnamed)).rejects.toMatchObject({ reason: 'SIGN_IN_KEY_UNKNOWN' });
});
