import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { templates } from '../../docs/examples/templates/write.ts';
import { root } from './run-example.ts';

it('the example templates are of synthetic people, and equal those that the fixtures make', () => {
  const made = templates();
  expect(made.size).toBe(18);
  for (const [name, bytes] of made)
    expect(readFileSync(join(root, 'docs/examples/templates', name)), name).toEqual(Buffer.from(bytes));
});
