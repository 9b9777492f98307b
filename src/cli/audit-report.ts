/** Tells what is in the audit, and what a verification of it found. */
import Table from 'cli-table3';
import type { AuditRecord } from '../audit/audit-entry.ts';
import type { Fault, FaultKind } from '../audit/chain-check.ts';
import type { ExportVerdict } from '../audit/verify-export.ts';
import type { Verdict } from '../audit/verify.ts';

/** Candidates that a row of the table names. */
const SHOWN_CANDIDATES = 3;

const WHY: Readonly<Record<FaultKind, string>> = {
  altered: 'its text is not what was recorded',
  missing: 'it is missing',
  misplaced: 'another record is in its place',
  foreign: 'it belongs to another store',
  unsigned: 'nothing that was signed covers it: it was added, or what followed it was removed',
  forged: 'it, or one that was signed together with it, is not what was signed',
  'unknown-key': 'it was signed with a key that was not given (--public-key)',
  hidden: 'it is stored so that searches for it do not find it',
  'cut-off': 'it and what followed it are gone',
  removed: 'everything that this process recorded is gone',
  rewritten: 'it, or one before it, is not what an anchor or a later process names',
};

/** Whether everything is as it was recorded. */
export function isVerified(verdict: Verdict | ExportVerdict): boolean {
  const isFile = !('isAsExported' in verdict) || verdict.isAsExported;
  return verdict.faulty === 0 && verdict.badAnchorLines.length === 0 && isFile;
}

/** @param anchors - files that were compared */
export function documentOfVerdict(verdict: Verdict | ExportVerdict, anchors: readonly string[]): object {
  const { records, writers, faults, faulty, lostByRestore, badAnchorLines } = verdict;
  return {
    verified: isVerified(verdict),
    records,
    writers,
    faulty_writers: faulty,
    faults,
    lost_by_restore: lostByRestore,
    anchors,
    bad_anchor_lines: badAnchorLines,
    ...('isWhole' in verdict && { whole: verdict.isWhole, as_exported: verdict.isAsExported }),
  };
}

export function sentencesOfVerdict(verdict: Verdict | ExportVerdict, anchors: readonly string[]): string[] {
  const { records, writers, faults, faulty, lostByRestore, badAnchorLines } = verdict;
  const read = `Read ${records.toLocaleString('en')} records of ${writers} writers.`;
  const file =
    'isAsExported' in verdict && !verdict.isAsExported ? ['The file is not what was exported, or was cut off.'] : [];
  const compared =
    anchors.length === 0
      ? 'No anchor was compared: whether the last records were cut off cannot be told.'
      : `Compared with ${anchors.join(', ')}.`;
  return [
    read,
    ...('isWhole' in verdict && !verdict.isWhole
      ? ['It is an excerpt: each record was verified, not their number.']
      : [compared]),
    ...lostByRestore.map(
      ({ writer, from, to }) => `Records ${from} to ${to} of writer ${writer} were lost when a backup was restored.`,
    ),
    ...badAnchorLines.map(
      ({ file: name, line }) => `Line ${line} of ${name} was not signed with a key that was given.`,
    ),
    ...file,
    ...faults.map(sentenceOfFault),
    ...(faulty > faults.length ? [`${faulty - faults.length} further writers have faults.`] : []),
    isVerified(verdict) ? 'Verified: everything is as it was recorded.' : 'NOT VERIFIED.',
  ];
}

export function sentenceOfFault({ writer, seq, kind }: Fault): string {
  return `First bad record of writer ${writer}: number ${seq}; ${WHY[kind]}.`;
}

/** @param records - undefined: a text that is no record */
export function tableOfRecords(records: readonly (AuditRecord | undefined)[]): string {
  const table = new Table({
    head: ['ended', 'client', 'agency', 'method', 'purpose', 'checkpoint', 'outcome', 'subjects'],
    style: { head: [], border: [] },
  });
  for (const record of records)
    table.push(record === undefined ? [{ colSpan: 8, content: 'not a record: see audit verify' }] : rowOf(record));
  return table.toString();
}

function rowOf(record: AuditRecord): string[] {
  const { candidates = [], subject_id: subject, reason, count } = record;
  const shown = candidates.slice(0, SHOWN_CANDIDATES).map((one) => `${one.rank}. ${one.subject_id} ${one.band}`);
  const left = candidates.length - shown.length;
  const subjects = [...(subject === undefined ? [] : [subject]), ...shown, ...(left > 0 ? [`and ${left} more`] : [])];
  return [
    record.ended,
    record.client_id ?? '',
    record.agency ?? '',
    record.method ?? record.kind,
    record.purpose ?? '',
    record.checkpoint_id ?? '',
    [reason ?? record.outcome, ...(count === undefined ? [] : [`× ${count}`])].join(' '),
    subjects.join('\n'),
  ];
}
