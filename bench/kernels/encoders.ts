/** Encoding of templates. */
import { FingerEncoder } from '../../src/matching/kernels/finger-encoder.ts';
import { VectorEncoder } from '../../src/matching/kernels/finger-vector.ts';
import type { KernelBuild } from '../../src/matching/kernels/kernel-builds.ts';
import { encodeFingerReference } from '../../src/matching/oracle/finger-encoding.ts';
import { encodeVectorReference } from '../../src/matching/oracle/finger-vector.ts';
import type { Contender, ContenderGroup } from '../harness/rates.ts';
import { packedFingers, templatesOf } from './people.ts';

const FINGERS = 200;
const BY_REFERENCE = 10;

export function encoders(builds: readonly KernelBuild[]): ContenderGroup[] {
  const [templates, packed] = [templatesOf(FINGERS), packedFingers(FINGERS)];
  return [
    {
      name: 'encoding fingers',
      unit: 'templates',
      contenders: [
        ...builds.map((build) => {
          const encoder = new FingerEncoder(undefined, build);
          return each(build, templates, (template) => encoder.encode(template));
        }),
        each('reference', templates.slice(0, BY_REFERENCE), (template) => encodeFingerReference(template)),
      ],
    },
    {
      name: 'making candidate vectors',
      unit: 'vectors',
      contenders: [
        ...builds.map((build) => {
          const encoder = new VectorEncoder(undefined, build);
          return each(build, packed, (finger) => encoder.encode(finger));
        }),
        each('reference', templates.slice(0, BY_REFERENCE), (template) => encodeVectorReference(template)),
      ],
    },
  ];
}

function each<T>(name: string, all: readonly T[], encode: (one: T) => unknown): Contender {
  const run = () => {
    for (const one of all) encode(one);
    return all.length;
  };
  return { name, run };
}
