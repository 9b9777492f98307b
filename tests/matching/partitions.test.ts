import { expect, it } from 'vitest';
import { partitionKey } from '../../src/gallery/catalogue.ts';
import { partitionsFor } from '../../src/matching/search/probe.ts';
import { somePrint } from '../prints.ts';

const keys = (template: Parameters<typeof partitionsFor>[0]) => partitionsFor(template).map(partitionKey);
const face = (modelId: string, dimension: number) =>
  ({ modality: 'face', modelId, dimension, quality: 0, values: new Int8Array(dimension) }) as const;

it('compares a finger with its position and unknown positions, and one of unknown position with all', () => {
  expect(keys({ ...somePrint(1), position: 3 })).toEqual(['finger:3', 'finger:0']);
  expect(keys({ ...somePrint(1), position: 0 })).toHaveLength(11);
});

it('compares a face only with references of its model and dimension', () => {
  expect(keys(face('a', 512))).toEqual(['face:a:512']);
  expect(keys(face('a', 256))).not.toEqual(keys(face('a', 512)));
});
