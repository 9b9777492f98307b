/** A stored measurement: suite, time, machine, and result. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Machine } from './machine.ts';

export interface BenchDocument {
  readonly bench: string;
  /** Start, ISO 8601. */
  readonly date: string;
  /** Duration. */
  readonly seconds: number;
  readonly arguments: readonly string[];
  /** By purpose, see seeds.ts. */
  readonly seeds: Readonly<Record<string, number>>;
  /** Version of the kernels and of the finger model. Figures of different versions are not comparable. */
  readonly kernel: string;
  readonly machine: Machine;
  /** The result that the bench prints with --json. */
  readonly result: unknown;
}

/** Folder of the results. */
export const RESULTS = join(import.meta.dirname, '../results');

export function keep(document: BenchDocument, file: string): void {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, `${JSON.stringify(document)}\n`);
}

/** The documents of a folder, by name of the bench. */
export function keptIn(folder: string): Map<string, BenchDocument> {
  const documents = readdirSync(folder)
    .filter((name) => name.endsWith('.json'))
    .map((name) => JSON.parse(readFileSync(join(folder, name), 'utf8')) as BenchDocument);
  return new Map(documents.map((document) => [document.bench, document]));
}
