/** Subjects in a block of an index file: one JSON array per line. */
import type { SubjectAttributes } from './catalogue.ts';

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
  expireTimeMs: number | null,
  notComparableCount: number,
  references: IndexedSubject['references'],
];

/** Equal subjects give equal lines, whatever the order of their galleries. */
export function encodeSubject({ subjectId, attributes, references }: IndexedSubject): string {
  const { version, contributor, galleries, caveats, provenance, expireTimeMs, notComparableCount } = attributes;
  const names = [...galleries].sort();
  const expiry = expireTimeMs ?? null;
  const line: Line = [
    subjectId,
    version,
    contributor,
    names,
    caveats,
    provenance,
    expiry,
    notComparableCount,
    references,
  ];
  return `${JSON.stringify(line)}\n`;
}

/**
 * Reads lines of `encodeSubject`. Subjects in the same galleries share one set: sets would be many, and can be large.
 */
export class SubjectLines {
  readonly #galleries = new Map<string, ReadonlySet<string>>();

  decode(block: Buffer): IndexedSubject[] {
    const lines = JSON.parse(`[${block.toString('utf8').trimEnd().replaceAll('\n', ',')}]`) as Line[];
    return lines.map((line) => {
      const [subjectId, version, contributor, galleries, caveats, provenance, expiry, notComparableCount, references] =
        line;
      const attributes = {
        version,
        contributor,
        galleries: this.#shared(galleries),
        caveats,
        provenance,
        expireTimeMs: expiry ?? undefined,
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
