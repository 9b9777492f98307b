/** What a check of the store says. */
import Table from 'cli-table3';
import type { Rebuilt } from '../store/damaged-indexes.ts';
import type { DamagedReference } from '../store/records.ts';
import type { Repaired } from '../store/removed-references.ts';
import type { Structure } from '../store/store-repair.ts';

/** What was found. */
export interface Findings {
  readonly subjects: number;
  readonly references: number;
  /** Subjects of which nothing can be read but damaged references. */
  readonly expungeable: number;
  readonly damaged: readonly DamagedReference[];
  /** Subjects that may have belonged to more galleries than can be read. */
  readonly mayLackGalleries: readonly string[];
  readonly structure: Structure;
  /** Why no more was looked at or done. */
  readonly obstacle?: string;
}

/** What was done. */
export interface Mended {
  readonly indexes: readonly Rebuilt[];
  /** Tables whose rows were made anew from others. */
  readonly tables: readonly string[];
  /** Numbers of the change sequence that were given a change again. */
  readonly changesFilled: number;
  /** Tables that were written anew without their damaged blocks. */
  readonly rewritten: readonly { readonly table: string; readonly blocks: readonly number[] }[];
  readonly repaired: readonly Repaired[];
}

const MAX_NAMED = 20;
const STYLE = { head: [], border: [] };
/** What is gone with a block of a table, beside the rows that are named. */
const LOSSES: Readonly<Record<string, string>> = {
  change: 'which subjects some changes were of; the numbers stay without a hole',
  receipt: 'receipts; copies that were handed out still exist',
  enrolment_request: 'request ids; an enrolment that is repeated under one of them is made a second time',
  import: 'how far interrupted imports are; they begin again',
  import_refusal: 'what interrupted imports have refused',
  gallery: 'the names of galleries without members',
  gallery_membership: 'memberships that no index names',
};
const REASONS: Readonly<Record<Rebuilt['outcome'], string>> = {
  rebuilt: 'built anew',
  'table-damaged': 'its table is damaged, too: --expunge',
  duplicates: 'rows that must differ are equal: restore a backup, or remove one of them',
  forbidden: 'the owner of the table may: REINDEX INDEX',
};

export function isStructureDamaged(structure: Structure): boolean {
  const { blocks, indexes, missingChanges, isCounterWrong, isListWrong } = structure;
  return blocks.length > 0 || indexes.length > 0 || missingChanges > 0 || isCounterWrong || isListWrong;
}

export function documentOf(findings: Findings, mended: Mended | undefined): object {
  const { subjects, references, damaged, mayLackGalleries, structure, obstacle } = findings;
  return {
    ...(obstacle === undefined ? { subjects, references } : { obstacle }),
    damaged: damaged.map(({ referenceId, subjectId, reason }) => ({
      reference_id: referenceId,
      subject_id: subjectId,
      reason,
    })),
    may_lack_galleries: mayLackGalleries,
    indexes: structure.indexes.map(({ index, table, block }) => ({ index, table, block: block ?? null })),
    blocks: structure.blocks.map(({ table, block, mend }) => ({ table, block, mended_by: mend })),
    missing_changes: structure.missingChanges,
    counter_wrong: structure.isCounterWrong,
    migration_list_wrong: structure.isListWrong,
    ...(mended !== undefined && {
      indexes_rebuilt: mended.indexes.map(({ index, table, outcome }) => ({ index, table, outcome })),
      tables_restored: mended.tables,
      changes_filled: mended.changesFilled,
      tables_rewritten: mended.rewritten,
      repaired: mended.repaired.map(({ subjectId, isExpunged, referencesRemoved, seq }) => ({
        subject_id: subjectId,
        outcome: isExpunged ? 'expunged' : 'references removed',
        references_removed: referencesRemoved,
        change: seq,
      })),
    }),
  };
}

export function sentencesOf(findings: Findings, mended: Mended | undefined): string[] {
  const { subjects, references, obstacle, structure } = findings;
  const lines = [...(mended === undefined ? [] : sentencesOfMended(mended))];
  if (obstacle === undefined) lines.push(`${references} references of ${subjects} subjects can be read.`);
  else lines.push(obstacle);
  const found = [...sentencesOfRows(findings), ...sentencesOfStructure(structure, mended)];
  if (found.length === 0) return [...lines, 'Nothing is damaged.'];
  const isMendedSafely =
    structure.indexes.length > 0 ||
    structure.missingChanges > 0 ||
    structure.isCounterWrong ||
    structure.isListWrong ||
    structure.blocks.some(({ mend }) => mend === 'repair');
  if (isMendedSafely && mended === undefined)
    found.push('--repair builds indexes and tables anew whose content is known from elsewhere: nothing is lost by it.');
  if (findings.damaged.length > 0 || structure.blocks.some(({ mend }) => mend === 'expunge'))
    found.push(
      'A backup brings back what cannot be read (ridgewatch restore, into an empty store); --expunge removes it, with a receipt for each subject.',
    );
  return [...lines, ...found];
}

function sentencesOfMended({ indexes, tables, changesFilled, rewritten, repaired }: Mended): string[] {
  const lines: string[] = [];
  const built = indexes.filter(({ outcome }) => outcome === 'rebuilt');
  if (built.length > 0) lines.push(`Indexes built anew: ${built.map(({ index }) => index).join(', ')}.`);
  if (tables.length > 0) lines.push(`Tables made anew from what is known elsewhere: ${tables.join(', ')}.`);
  if (tables.includes('change_counter'))
    lines.push('The store has another identity since: build indexes of the gallery again (ridgewatch index build).');
  if (changesFilled > 0) lines.push(`${changesFilled} numbers of the change sequence have a change again.`);
  for (const { table, blocks } of rewritten) {
    const loss = LOSSES[table];
    const gone = loss === undefined ? '' : ` What was in them is gone: ${loss}.`;
    lines.push(`The table ${table} was written anew without its damaged blocks (${blocks.join(', ')}).${gone}`);
  }
  if (repaired.length > 0) {
    const expunged = repaired.filter(({ isExpunged }) => isExpunged).length;
    lines.push(
      `${repaired.length} subjects were mended, ${expunged} of them by expunging them; receipt show has the receipts.`,
    );
  }
  return lines;
}

function sentencesOfRows({ damaged, mayLackGalleries }: Findings): string[] {
  const lines: string[] = [];
  if (damaged.length > 0) {
    const table = new Table({ head: ['reference', 'subject', 'what is wrong'], style: STYLE });
    for (const { referenceId, subjectId, reason } of damaged) table.push([referenceId || '?', subjectId, reason]);
    lines.push(`${damaged.length} references are damaged:`, table.toString());
  }
  if (mayLackGalleries.length > 0) {
    const more = mayLackGalleries.length > MAX_NAMED ? `, and ${mayLackGalleries.length - MAX_NAMED} more` : '';
    lines.push(
      `${mayLackGalleries.length} subjects may have belonged to more galleries than can be read, or to fewer: ${mayLackGalleries.slice(0, MAX_NAMED).join(', ')}${more}.`,
    );
  }
  return lines;
}

function sentencesOfStructure(
  { blocks, indexes, missingChanges, isCounterWrong, isListWrong }: Structure,
  mended: Mended | undefined,
): string[] {
  const lines: string[] = [];
  if (indexes.length > 0) {
    const table = new Table({ head: ['index', 'table', 'block', 'what mends it'], style: STYLE });
    for (const one of indexes) {
      const outcome = mended?.indexes.find(({ index }) => index === one.index)?.outcome;
      table.push([one.index, one.table, one.block ?? '?', outcome === undefined ? '--repair' : REASONS[outcome]]);
    }
    lines.push(`${indexes.length} indexes are damaged, by which rows are found:`, table.toString());
  }
  if (blocks.length > 0) {
    const table = new Table({ head: ['table', 'block', 'what mends it'], style: STYLE });
    for (const { table: name, block, mend } of blocks)
      table.push([name, block, mend === 'repair' ? '--repair' : '--expunge, or a backup']);
    lines.push(`${blocks.length} blocks cannot be read, or lack rows that an index knows of:`, table.toString());
  }
  if (missingChanges > 0) lines.push(`${missingChanges} numbers of the change sequence have no change: --repair.`);
  if (isCounterWrong) lines.push('The counter of the changes is gone, or names one before the last one: --repair.');
  if (isListWrong) lines.push('The list of the migrations does not name those that were made: --repair.');
  return lines;
}
