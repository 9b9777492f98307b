/** The report of a check of the store. */
import Table from 'cli-table3';
import type { Rebuilt } from '../store/damaged-indexes.ts';
import type { DamagedClient } from '../access/client-directory.ts';
import type { DamagedReference } from '../store/records.ts';
import type { DamagedChange } from '../store/replaced-changes.ts';
import type { Repaired } from '../store/removed-references.ts';
import type { Structure } from '../store/store-repair.ts';

/** The damage that was found. */
export interface Findings {
  readonly subjects: number;
  readonly references: number;
  /** Number of subjects without a readable reference. */
  readonly expungeable: number;
  readonly damaged: readonly DamagedReference[];
  /** Subjects that may have belonged to further galleries, whose names cannot be read. */
  readonly mayLackGalleries: readonly string[];
  /** Rows of the change sequence that were added or changed outside this program. */
  readonly damagedChanges: readonly DamagedChange[];
  readonly damagedClients: readonly DamagedClient[];
  readonly structure: Structure;
  /** What the service's database role may do beyond its needs; undefined: the store does not open. */
  readonly excessRights?: readonly string[] | undefined;
  /** Why the check or the repair stopped. */
  readonly obstacle?: string;
}

/** The repairs that were made. */
export interface Mended {
  readonly indexes: readonly Rebuilt[];
  /** Tables that were rebuilt from others. */
  readonly tables: readonly string[];
  /** Numbers of the change sequence that were missing and got a change. */
  readonly changesFilled: number;
  /** Rows of the change sequence that were replaced, because this program had not written them. */
  readonly changesReplaced: number;
  /** Tables that were rewritten without their damaged blocks. */
  readonly rewritten: readonly { readonly table: string; readonly blocks: readonly number[] }[];
  readonly repaired: readonly Repaired[];
}

const MAX_NAMED = 20;
/** Excess rights that the text names; the document has all. */
const MAX_RIGHTS = 4;
const STYLE = { head: [], border: [] };
/** What is lost with a block of a table, besides the rows that the report names. */
const LOSSES: Readonly<Record<string, string>> = {
  change: 'the subjects of some changes; the sequence has no gap',
  receipt: 'receipts; copies given out earlier still exist',
  enrolment_request: 'request ids; an enrolment repeated under one of them is made a second time',
  import: 'the progress of interrupted imports; they start again',
  import_refusal: 'the refusals of interrupted imports',
  gallery: 'the names of galleries without members',
  gallery_membership: 'memberships that no index lists',
};
const REASONS: Readonly<Record<Rebuilt['outcome'], string>> = {
  rebuilt: 'rebuilt',
  'table-damaged': 'its table is damaged, too: --expunge',
  duplicates: 'rows that must differ are equal: restore a backup, or remove one of them',
  forbidden: 'only the owner of the table may rebuild it: REINDEX INDEX',
};

export function isStructureDamaged(structure: Structure): boolean {
  const { blocks, indexes, missingChanges, isCounterWrong, isListWrong } = structure;
  return blocks.length > 0 || indexes.length > 0 || missingChanges > 0 || isCounterWrong || isListWrong;
}

export function documentOf(findings: Findings, mended: Mended | undefined): object {
  const {
    subjects,
    references,
    damaged,
    mayLackGalleries,
    damagedChanges,
    damagedClients,
    structure,
    excessRights,
    obstacle,
  } = findings;
  return {
    ...(obstacle === undefined ? { subjects, references } : { obstacle }),
    damaged: damaged.map(({ referenceId, subjectId, reason }) => ({
      reference_id: referenceId,
      subject_id: subjectId,
      reason,
    })),
    may_lack_galleries: mayLackGalleries,
    damaged_changes: countsOf(damagedChanges),
    damaged_clients: damagedClients.map(({ clientId, reason }) => ({ client_id: clientId, reason })),
    indexes: structure.indexes.map(({ index, table, block }) => ({ index, table, block: block ?? null })),
    blocks: structure.blocks.map(({ table, block, mend }) => ({ table, block, mended_by: mend })),
    missing_changes: structure.missingChanges,
    counter_wrong: structure.isCounterWrong,
    migration_list_wrong: structure.isListWrong,
    ...(excessRights !== undefined && {
      database_roles: excessRights.length === 0 ? 'separated' : 'shared',
      excess_rights: excessRights,
    }),
    ...(mended !== undefined && {
      indexes_rebuilt: mended.indexes.map(({ index, table, outcome }) => ({ index, table, outcome })),
      tables_restored: mended.tables,
      changes_filled: mended.changesFilled,
      changes_replaced: mended.changesReplaced,
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
  lines.push(...sentencesOfRoles(findings));
  const found = [
    ...sentencesOfRows(findings),
    ...sentencesOfForged(findings),
    ...sentencesOfStructure(structure, mended),
  ];
  if (found.length === 0) return [...lines, 'Nothing is damaged.'];
  const isMendedSafely =
    structure.indexes.length > 0 ||
    structure.missingChanges > 0 ||
    structure.isCounterWrong ||
    structure.isListWrong ||
    structure.blocks.some(({ mend }) => mend === 'repair') ||
    findings.damagedChanges.length > 0;
  if (isMendedSafely && mended === undefined)
    found.push('--repair rebuilds indexes and tables that can be derived from other data: nothing is lost.');
  if (findings.damaged.length > 0 || structure.blocks.some(({ mend }) => mend === 'expunge'))
    found.push(
      'A backup brings back what cannot be read (ridgewatch restore, into an empty store). --expunge removes it, with a receipt for each subject.',
    );
  return [...lines, ...found];
}

function sentencesOfMended({ indexes, tables, changesFilled, changesReplaced, rewritten, repaired }: Mended): string[] {
  const lines: string[] = [];
  const built = indexes.filter(({ outcome }) => outcome === 'rebuilt');
  if (built.length > 0) lines.push(`Indexes rebuilt: ${built.map(({ index }) => index).join(', ')}.`);
  if (tables.length > 0) lines.push(`Tables rebuilt from other data: ${tables.join(', ')}.`);
  if (tables.includes('change_counter'))
    lines.push('The store now has another identity: build the indexes of the gallery again (ridgewatch index build).');
  if (changesFilled > 0) lines.push(`${changesFilled} missing numbers of the change sequence were filled.`);
  if (changesReplaced > 0)
    lines.push(`${changesReplaced} rows of the change sequence that this program had not written were replaced.`);
  for (const { table, blocks } of rewritten) {
    const loss = LOSSES[table];
    const lost = loss === undefined ? '' : ` Lost with them: ${loss}.`;
    lines.push(`The table ${table} was rewritten without its damaged blocks (${blocks.join(', ')}).${lost}`);
  }
  if (repaired.length > 0) {
    const expunged = repaired.filter(({ isExpunged }) => isExpunged).length;
    lines.push(
      `${repaired.length} subjects were repaired, ${expunged} of them by expunging them; "ridgewatch receipt show" prints the receipts.`,
    );
  }
  return lines;
}

/** Shared roles are no damage: the sentence is advice. */
function sentencesOfRoles({ excessRights }: Findings): string[] {
  if (excessRights === undefined) return [];
  if (excessRights.length === 0) return ["The service's database role may do what the service needs, and no more."];
  const more = excessRights.length > MAX_RIGHTS ? `, and ${excessRights.length - MAX_RIGHTS} more` : '';
  return [
    `The service's database role may do more than the service needs: it ${excessRights.slice(0, MAX_RIGHTS).join(', ')}${more}. RIDGEWATCH_DATABASE_OWNER_URL separates the roles.`,
  ];
}

/** Numbers of rows by reason. */
function countsOf(damaged: readonly DamagedChange[]): { readonly reason: string; readonly count: number }[] {
  return [...Map.groupBy(damaged, ({ reason }) => reason)].map(([reason, found]) => ({ reason, count: found.length }));
}

function sentencesOfForged({ damagedChanges, damagedClients }: Findings): string[] {
  const lines = countsOf(damagedChanges).map(
    ({ reason, count }) =>
      `${count} rows of the table change were not written by this program, or were changed (${reason}), and are not followed: --repair replaces them.`,
  );
  if (damagedClients.length === 0) return lines;
  const table = new Table({ head: ['client', 'what is wrong'], style: STYLE });
  for (const { clientId, reason } of damagedClients.slice(0, MAX_NAMED)) table.push([clientId, reason]);
  return [
    ...lines,
    `${damagedClients.length} rows of the table client are not what was registered, and are not let in: disable them, and register them again ("ridgewatch client recover local" makes an administrator).`,
    table.toString(),
  ];
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
      `The galleries of ${mayLackGalleries.length} subjects are uncertain, some may be missing or wrong: ${mayLackGalleries.slice(0, MAX_NAMED).join(', ')}${more}.`,
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
    const table = new Table({ head: ['index', 'table', 'block', 'remedy'], style: STYLE });
    for (const one of indexes) {
      const outcome = mended?.indexes.find(({ index }) => index === one.index)?.outcome;
      table.push([one.index, one.table, one.block ?? '?', outcome === undefined ? '--repair' : REASONS[outcome]]);
    }
    lines.push(`${indexes.length} database indexes are damaged:`, table.toString());
  }
  if (blocks.length > 0) {
    const table = new Table({ head: ['table', 'block', 'remedy'], style: STYLE });
    for (const { table: name, block, mend } of blocks)
      table.push([name, block, mend === 'repair' ? '--repair' : '--expunge, or a backup']);
    lines.push(`${blocks.length} blocks cannot be read, or lack rows that an index lists:`, table.toString());
  }
  if (missingChanges > 0) lines.push(`${missingChanges} numbers of the change sequence have no change: --repair.`);
  if (isCounterWrong) lines.push('The change counter is missing, or is behind the last change: --repair.');
  if (isListWrong) lines.push('The list of applied migrations is wrong: --repair.');
  return lines;
}
