/** A measurement as it is kept: what was measured, when, on what, and what came out. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Machine } from './machine.ts';

export interface BenchDocument {
  readonly bench: string;
  /** ISO 8601, when it began. */
  readonly date: string;
  /** How long it took. */
  readonly seconds: number;
  readonly arguments: readonly string[];
  /** By what is drawn with them, see seeds.ts. */
  readonly seeds: Readonly<Record<string, number>>;
  /** Version of the kernels and of the finger model: a figure of another one is another figure. */
  readonly kernel: string;
  readonly machine: Machine;
  /** As the bench prints it with --json. */
  readonly result: unknown;
}

/** Where suites keep what they measure. */
export const RESULTS = join(import.meta.dirname, '../results');

export function keep(document: BenchDocument, file: string): void {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, `${JSON.stringify(document)}\n`);
}

/** What was kept in a folder, by the name of the bench. */
export function keptIn(folder: string): Map<string, BenchDocument> {
  const documents = readdirSync(folder)
    .filter((name) => name.endsWith('.json'))
    .map((name) => JSON.parse(readFileSync(join(folder, name), 'utf8')) as BenchDocument);
  return new Map(documents.map((document) => [document.bench, document]));
}
