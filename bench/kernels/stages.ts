/** The stages of preparing a reference, in microseconds a print. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CodeEncoder } from '../../src/matching/kernels/finger-codes.ts';
import { FingerEncoder } from '../../src/matching/kernels/finger-encoder.ts';
import { VectorEncoder } from '../../src/matching/kernels/finger-vector.ts';
import { MINIMUM_MINUTIAE } from '../../src/matching/kernels/kernels.ts';
import { ReferenceEncoder } from '../../src/matching/kernels/reference-encoder.ts';
import type { FingerTemplate } from '../../src/templates/finger-template.ts';
import { decodeIso197942 } from '../../src/templates/iso-19794-2-2005.ts';
import { toFingerTemplate } from '../../src/templates/normalise.ts';

export interface Stages {
  readonly prints: number;
  /** Mean of a print. */
  readonly minutiae: number;
  /** Means over the prints of the least time of each. */
  readonly microseconds: Readonly<Record<string, number>>;
}

/** Every view of the `.iso` records below a folder that can be compared. */
export function printsBelow(folder: string): FingerTemplate[] {
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.iso'));
  const templates = names.sort().flatMap((name) => {
    const record = decodeIso197942(readFileSync(join(folder, name)));
    return record.views.map((view) => toFingerTemplate(record, view));
  });
  return templates.filter(({ minutiae }) => minutiae.length >= MINIMUM_MINUTIAE);
}

/**
 * Measures the stages by turns, all prints in each. The least time of a print counts: what else the machine does only adds
 * to it. A print is never prepared twice in a row, so that its data and branches are not known to the processor.
 */
export function stagesOf(templates: readonly FingerTemplate[], rounds: number): Stages {
  const [fingers, vectors, codes, references] = [
    new FingerEncoder(),
    new VectorEncoder(),
    new CodeEncoder(),
    new ReferenceEncoder(),
  ];
  const packed = templates.flatMap((template) => fingers.encode(template) ?? []);
  const made = packed.map((finger) => vectors.encode(finger));
  const stages: Readonly<Record<string, (i: number) => unknown>> = {
    finger: (i) => fingers.encode(templates[i]),
    vector: (i) => vectors.encode(packed[i]),
    codes: (i) => codes.encode(made[i]),
    reference: (i) => references.encode(templates[i]),
  };
  const least = new Map(Object.keys(stages).map((name) => [name, templates.map(() => Infinity)]));
  for (let round = 0; round < rounds; round++) {
    for (const [name, times] of least) {
      for (let i = 0; i < templates.length; i++)
        times[i] = Math.min(
          times[i],
          timeOf(() => stages[name](i)),
        );
    }
  }
  const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
  return {
    prints: templates.length,
    minutiae: mean(templates.map(({ minutiae }) => minutiae.length)),
    microseconds: Object.fromEntries([...least].map(([name, times]) => [name, mean(times)])),
  };
}

function timeOf(run: () => unknown): number {
  const started = process.hrtime.bigint();
  run();
  return Number(process.hrtime.bigint() - started) / 1000;
}
