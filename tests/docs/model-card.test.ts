import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { installationFolder } from '../../src/installation.ts';
import { shippedFingerModel, shippedVectorModel } from '../../src/matching/model/shipped-model.ts';

it('the model card states the hashes of the shipped models', () => {
  const card = readFileSync(join(installationFolder, 'docs/model-card.md'), 'utf8');
  const stated = [...card.matchAll(/SHA-256: `([0-9a-f]{64})`/g)].map(([, hash]) => hash);
  expect(stated).toEqual([shippedFingerModel().hash, shippedVectorModel().hash]);
});
