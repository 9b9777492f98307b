/**
 * Writes the templates beside this file, all of synthetic people.
 *
 *   node docs/examples/templates/write.ts
 *
 * `enrolled` and `later` are two captures of one person; `stranger` is another person, and `people` are three more.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { createPerson } from '../../../fixtures/person.ts';

const SEED = 0x657a;

/** The files by name: in each folder both index fingers and the face of one capture. */
export function templates(): ReadonlyMap<string, Uint8Array> {
  const files = new Map<string, Uint8Array>();
  const capture = (folder: string, index: number, impression: number) => {
    const person = createPerson(SEED, index);
    files.set(`${folder}/right-index.iso`, person.fingerRecord(2, impression, 1));
    files.set(`${folder}/left-index.iso`, person.fingerRecord(7, impression, 1));
    const face = Buffer.alloc(512 * 4);
    person.faceEmbedding(impression).forEach((value, i) => face.writeFloatLE(value, 4 * i));
    files.set(`${folder}/face.f32`, face);
  };
  capture('enrolled', 0, 0);
  capture('later', 0, 1);
  capture('stranger', 1, 1);
  for (const index of [2, 3, 4]) capture(`people/person-${index}`, index, 0);
  return files;
}

if (import.meta.main) {
  for (const [name, bytes] of templates()) {
    const file = join(import.meta.dirname, name);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, bytes);
  }
}
