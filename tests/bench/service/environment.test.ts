import { afterEach, expect, it, vi } from 'vitest';
import { serviceEnvironment } from '../../../bench/service/process.ts';

afterEach(() => {
  vi.unstubAllEnvs();
});

it("does not pass the caller's service settings to a service that a bench starts", () => {
  vi.stubEnv('DATABASE_URL', 'postgresql://production.example/watchlist');
  vi.stubEnv('RIDGEWATCH_KEY_FILE', '/keys.json');
  vi.stubEnv('RIDGEWATCH_BENCH_SEED', '7');
  const environment = serviceEnvironment({ RIDGEWATCH_DEMO: 'never' });
  const settings = Object.keys(environment).filter((name) => /^(RIDGEWATCH_|DATABASE_URL)/.test(name));
  expect(settings).toEqual(['RIDGEWATCH_DEMO']);
  expect(environment.PATH).toBe(process.env.PATH);
});
