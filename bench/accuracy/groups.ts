/** Groups for which rates are reported: sets, the databases in them, and all sets pooled. */
import { dirname } from 'node:path';
import type { LabelledPrint } from '../../index-builder/prints/labelled-prints.ts';
import type { ScoredSet } from '../scores/scored-set.ts';

/** Comparisons counted together. Prints of different sets are never compared: a pool has the comparisons of its sets. */
export interface Group {
  readonly name: string;
  readonly kind: 'database' | 'set' | 'pool';
  readonly parts: readonly GroupPart[];
}

export interface GroupPart extends ScoredSet {
  /** Which prints take part: a comparison counts if both do. */
  readonly includes: (print: LabelledPrint) => boolean;
}

const everything = () => true;

export function groupSets(sets: readonly ScoredSet[]): Group[] {
  const groups: Group[] = [];
  for (const scored of sets) {
    const databases = databasesOf(scored);
    for (const database of databases.length > 1 ? databases : []) {
      groups.push({ name: `${scored.set.name}/${database}`, kind: 'database', parts: [within(scored, database)] });
    }
    groups.push({ name: scored.set.name, kind: 'set', parts: [{ ...scored, includes: everything }] });
  }
  const shared = [...new Set(sets.flatMap(databasesOf))].filter((database) => database !== '.').sort();
  for (const database of shared) {
    const holders = sets.filter((scored) => databasesOf(scored).includes(database));
    if (holders.length < 2) continue;
    groups.push({ name: `pooled ${database}`, kind: 'pool', parts: holders.map((scored) => within(scored, database)) });
  }
  if (sets.length > 1) {
    groups.push({ name: 'pooled', kind: 'pool', parts: sets.map((scored) => ({ ...scored, includes: everything })) });
  }
  return groups;
}

function databasesOf({ set }: ScoredSet): string[] {
  return [...new Set(set.list.map(({ name }) => dirname(name)))].sort();
}

function within(scored: ScoredSet, database: string): GroupPart {
  return { ...scored, includes: ({ name }) => dirname(name) === database };
}
