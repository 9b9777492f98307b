import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { expect, it } from 'vitest';

const root = resolve(import.meta.dirname, '../..');

/** Reasons in the sources: the second argument of a Failure, the first argument of a TemplateError or a refusal. */
const REASON =
  /(?:Failure\(\s*'[a-z-]+',|TemplateError\(|refusal\(|refused\(|require\(\s*[^']*?,)\s*'([A-Z][A-Z0-9_]+)'/g;

it('docs/errors.md explains every reason that a call, a start or a command can fail with', () => {
  const page = readFileSync(join(root, 'docs/errors.md'), 'utf8');
  const files = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' }).filter(
    (name) => name.endsWith('.ts') && !name.includes('generated'),
  );
  const reasons = new Set(
    files.flatMap((name) =>
      [...readFileSync(join(root, 'src', name), 'utf8').matchAll(REASON)].map(([, reason]) => reason ?? ''),
    ),
  );
  expect(reasons.size).toBeGreaterThan(60);
  expect([...reasons].filter((reason) => !new RegExp(`\\b${reason}\\b`).test(page))).toEqual([]);
});
