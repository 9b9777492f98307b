/** Subjects in a block of an index file: one JSON array per line. */
import type { Handling } from '../store/records.ts';
import type { SubjectAttributes } from './catalogue.ts';
import { sharedHandling } from './shared-handling.ts';

export interface IndexedSubject {
  readonly subjectId: string;
  readonly attributes: SubjectAttributes;
  /** Id and partition key of each reference. Its place in the partition follows from the order of all subjects. */
  readonly references: readonly (readonly [referenceId: string, partitionKey: string])[];
}

type Line = [
  subjectId: string,
  version: number,
  contributor: string,
  galleries: string[],
  caveats: readonly string[],
  provenance: SubjectAttributes['provenance'],
  searchedUntilMs: number | null,
  notComparableCount: number,
  references: IndexedSubject['references'],
  /** Absent where both are: lines of subjects without them are those of earlier versions. */
  ...life: Life | [],
];

type Life = [minorUntilMs: number | null, handling: [Handling['code'], string, string] | null];

/** Equal subjects give equal lines, whatever the order of their galleries. */
export function encodeSubject({ subjectId, attributes, references }: IndexedSubject): string {
  const { version, contributor, galleries, caveats, provenance, searchedUntilMs, notComparableCount } = attributes;
  const names = [...galleries].sort();
  const line: Line = [
    subjectId,
    version,
    contributor,
    names,
    caveats,
    provenance,
    searchedUntilMs ?? null,
    notComparableCount,
    references,
    ...lifeOf(attributes),
  ];
  return `${JSON.stringify(line)}\n`;
}

function lifeOf({ minorUntilMs, handling }: SubjectAttributes): Life | [] {
  if (minorUntilMs === undefined && handling === undefined) return [];
  return [minorUntilMs ?? null, handling ? [handling.code, handling.instructions, handling.contact] : null];
}

/**
 * Reads lines of `encodeSubject`. Subjects in the same galleries share one set: sets would be many, and can be large.
 */
export class SubjectLines {
  readonly #galleries = new Map<string, ReadonlySet<string>>();

  decode(block: Buffer): IndexedSubject[] {
    const lines = JSON.parse(`[${block.toString('utf8').trimEnd().replaceAll('\n', ',')}]`) as Line[];
    return lines.map((line) => {
      const [subjectId, version, contributor, galleries, caveats, provenance, until, notComparableCount, references] =
        line;
      const [minorUntilMs, handling] = line.slice(9) as Life | [];
      const attributes = {
        version,
        contributor,
        galleries: this.#shared(galleries),
        caveats,
        provenance,
        searchedUntilMs: until ?? undefined,
        minorUntilMs: minorUntilMs ?? undefined,
        handling: handling
          ? sharedHandling({ code: handling[0], instructions: handling[1], contact: handling[2] })
          : undefined,
        notComparableCount,
      };
      return { subjectId, attributes, references };
    });
  }

  #shared(names: readonly string[]): ReadonlySet<string> {
    const key = JSON.stringify(names);
    const known = this.#galleries.get(key) ?? new Set(names);
    this.#galleries.set(key, known);
    return known;
  }
}
