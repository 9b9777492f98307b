/** Providers that are replaced, rotate their keys or are away while the service runs. */
import { writeFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import type { Failure } from '../../src/failure.ts';
import { createLogger } from '../../src/observability/logging.ts';
import { SignInWatch } from '../../src/service/sign-in-watch.ts';
import { LocalProvider } from '../sign-in/local-provider.ts';

let provider: LocalProvider;
let watch: SignInWatch | undefined;
let log: { readonly level: number; readonly msg: string }[];
let readings: string[];
let replaced: number;

beforeAll(async () => {
  provider = await LocalProvider.start();
});
afterAll(() => provider.goAway());
beforeEach(() => {
  [log, readings, replaced] = [[], [], 0];
});
afterEach(() => watch?.stop());

function start(file: string): SignInWatch {
  const lines = log;
  watch = new SignInWatch(file, {
    log: createLogger('trace', { write: (line: string) => void lines.push(JSON.parse(line) as (typeof lines)[0]) }),
    countKeys: (outcome) => void readings.push(outcome),
  });
  watch.start(() => void replaced++);
  return watch;
}
const messages = () => log.map(({ msg }) => msg);
const outcome = (token: string) =>
  (watch as SignInWatch).providers.verify(token).then(
    ({ agency }) => agency,
    (error: unknown) => (error as Failure).reason,
  );

it('a provider that is away at the start does not hold it up, and signs in when it is back', async () => {
  await provider.goAway();
  start(provider.file());
  const token = await provider.sign();
  expect(await outcome(token)).toBe('SIGN_IN_KEYS_UNAVAILABLE');
  await provider.comeBack();
  await watch?.reload();
  expect(await outcome(token)).toBe('agency');
  expect(readings).toEqual(['failed', 'read']);
  expect(messages()).toContain('the keys of an identity provider can be read again');
});

it('a provider that goes away later signs in persons with the keys that it had', async () => {
  start(provider.file());
  const token = await provider.sign();
  expect(await outcome(token)).toBe('agency');
  await provider.goAway();
  await watch?.reload();
  expect(readings.at(-1)).toBe('failed');
  expect(await outcome(token)).toBe('agency');
  await provider.comeBack();
});

it('rotated keys are read on SIGHUP at once', async () => {
  start(provider.file());
  const before = await provider.sign();
  expect(await outcome(before)).toBe('agency');
  await provider.rotate();
  await watch?.reload();
  expect(await outcome(await provider.sign())).toBe('agency');
  expect(await outcome(before)).toBe('SIGN_IN_KEY_UNKNOWN');
});

it('a file of providers that changes is in force within a second; a bad one changes nothing', async () => {
  const file = provider.file();
  start(file);
  const token = await provider.sign();
  const signedIn = await (watch as SignInWatch).providers.verify(token);
  writeFileSync(file, '{');
  await expect
    .poll(messages, { timeout: 5000 })
    .toContain('the file of identity providers cannot be used; those before stay in force');
  expect(await outcome(token)).toBe('agency');
  expect([replaced, watch?.providers.trusts(signedIn)]).toEqual([0, true]);
  const started = performance.now();
  provider.file({ agency: 'another' });
  await expect.poll(() => replaced, { timeout: 5000, interval: 20 }).toBe(1);
  expect(performance.now() - started).toBeLessThan(1000);
  expect(watch?.providers.trusts(signedIn)).toBe(false);
  expect(await outcome(token)).toBe('another');
});

it('keys in a file are read again when the file changes', async () => {
  const keys = `${provider.folder}/local.jwks`;
  writeFileSync(keys, JSON.stringify({ keys: provider.published }));
  start(provider.file({ jwks_file: 'local.jwks' }, 'local.json'));
  expect(await outcome(await provider.sign())).toBe('agency');
  await provider.rotate();
  writeFileSync(keys, JSON.stringify({ keys: provider.published }));
  const token = await provider.sign();
  await expect.poll(() => outcome(token), { timeout: 5000 }).toBe('agency');
});

it('nothing is read or logged without a file', async () => {
  const none = new SignInWatch(undefined, { log: createLogger('silent'), countKeys: () => expect.unreachable() });
  none.start(() => undefined);
  await none.reload();
  expect(none.providers.issuers).toEqual([]);
  none.stop();
});
