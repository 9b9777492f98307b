import type { DamagedClient } from '../../access/client-directory.ts';
import { Failure } from '../../failure.ts';
import { listIndexes, sequenceOfName } from '../../index-files/index-catalog.ts';
import { faultOf } from '../../gallery/stored-records.ts';
import { ReceiptSigner } from '../../security/receipts.ts';
import { isOfSubject } from '../../store/proven-subjects.ts';
import type { DamagedReference } from '../../store/records.ts';
import type { Repaired } from '../../store/removed-references.ts';
import type { StoreRepair, Structure } from '../../store/store-repair.ts';
import { recorded, type CommandFacts } from '../command-audit.ts';
import { agreed } from '../confirmation.ts';
import { EXIT } from '../exit-codes.ts';
import { progressBar, printResult } from '../output.ts';
import { withStore, type StoreAccess, type StoreOptions } from '../store-access.ts';
import { documentOf, isStructureDamaged, sentencesOf, type Findings, type Mended } from '../store-report.ts';

interface CheckOptions extends StoreOptions {
  readonly repair?: boolean;
  readonly expunge?: boolean;
  readonly expungeAtMost?: number;
  readonly yes?: boolean;
  readonly reason?: string;
}

const SUBJECTS_PER_BATCH = 500;
const REASON = 'damaged in the store';
/** Share of all subjects. More are expunged only if the operator states their number. */
const USUAL_SHARE = 0.1;
const NOTHING: Mended = { indexes: [], tables: [], changesFilled: 0, changesReplaced: 0, rewritten: [], repaired: [] };
const NO_FORGED = { damagedChanges: [], damagedClients: [] };
const NOT_ALL =
  'Not all damage could be removed: some tables were rewritten, the rest is unchanged. Run the command again.';
const NONE: Structure = { blocks: [], indexes: [], missingChanges: 0, isCounterWrong: false, isListWrong: false };

/**
 * Reads every row, template and index, and reports damage. --repair repairs what can be repaired without loss,
 * --expunge removes the rest. The database is examined before the store is opened, because damage may prevent it from
 * opening.
 */
export async function checkStore(_args: readonly string[], options: CheckOptions): Promise<number> {
  // Alone it could be mistaken for a limit on --repair.
  if (options.expungeAtMost !== undefined && options.expunge !== true)
    throw new Failure('invalid-argument', 'USAGE', '--expunge-at-most is a limit for --expunge: give --expunge, too.');
  let structure = NONE;
  let mended: Mended | undefined;
  const reason = options.reason ?? REASON;
  const examine = async (repair: StoreRepair) => {
    structure = await repair.examine();
    if (options.repair !== true && options.expunge !== true) return;
    mended = await mendWithoutLoss(repair, structure, reason);
    if (isStructureDamaged(structure)) structure = await repair.examine();
  };
  let isOpen = false;
  const done: Mended['rewritten'][number][] = [];
  const work = async (access: StoreAccess) => {
    isOpen = true;
    const check = async (): Promise<Checked> => {
      let findings = { ...(await read(access, options)), structure };
      if (mended !== undefined && findings.damagedChanges.length > 0) {
        mended = { ...mended, changesReplaced: await access.store.repair.replaceChanges(reason) };
        findings = { ...findings, damagedChanges: await access.store.repair.damagedChanges() };
      }
      if (options.expunge === true && mayBeRemoved(findings))
        return takeOut(access, findings, mended, reason, options, done);
      return { code: report(findings, mended, options), mended };
    };
    const mode = options.expunge === true ? 'expunge' : options.repair === true ? 'repair' : undefined;
    if (mode === undefined) return (await check()).code;
    const asked = { command: 'store check', facts: { mode }, mendsAudit: true };
    return (await recorded(access, asked, check, factsOf)).code;
  };
  try {
    return await withStore(options, work, 'present', examine);
  } catch (error) {
    if (!(error instanceof Failure) || !isStructureDamaged(structure) || error.kind === 'invalid-argument') throw error;
    // The store does not open: report what was found, and the reason.
    const nothing = { subjects: 0, references: 0, expungeable: 0, damaged: [], mayLackGalleries: [], ...NO_FORGED };
    const why = error.detail.metadata?.['damage'];
    const obstacle = why === undefined ? error.message : `The store does not open: ${why}.`;
    if (!isOpen) return report({ ...nothing, structure, obstacle }, mended, options);
    // Report what was done before the failure.
    const stopped = done.length === 0 ? error.message : `${NOT_ALL} (${error.reason})`;
    return report({ ...nothing, structure, obstacle: stopped }, { ...(mended ?? NOTHING), rewritten: done }, options);
  }
}

/** What a check comes to. */
interface Checked {
  /** Exit code. */
  readonly code: number;
  readonly mended: Mended | undefined;
}

/** What the audit is told: what was rebuilt without loss, before the store could be opened, and what was removed. */
function factsOf({ code, mended = NOTHING }: Checked): CommandFacts {
  const { indexes, tables, changesFilled, changesReplaced, rewritten, repaired } = mended;
  return {
    exit_code: code,
    rebuilt_indexes: indexes.length,
    rebuilt_tables: tables.length,
    changes_filled: changesFilled,
    changes_replaced: changesReplaced,
    rewritten_tables: rewritten.map(({ table }) => table).join(', '),
    removed_references: repaired.reduce((sum, { referencesRemoved }) => sum + referencesRemoved, 0),
    expunged_subjects: repaired.filter(({ isExpunged }) => isExpunged).length,
  };
}

function isDamaged({ damagedChanges, damagedClients, ...findings }: Findings): boolean {
  return damagedChanges.length > 0 || damagedClients.length > 0 || mayBeRemoved(findings);
}

/** Whether there is damage that --expunge is for. */
function mayBeRemoved({
  damaged,
  mayLackGalleries,
  structure,
}: Pick<Findings, 'damaged' | 'mayLackGalleries' | 'structure'>): boolean {
  return damaged.length > 0 || mayLackGalleries.length > 0 || isStructureDamaged(structure);
}

async function read({ store }: StoreAccess, options: CheckOptions): Promise<Omit<Findings, 'structure'>> {
  const bar = progressBar('reading {value} subjects, {duration_formatted}', options);
  bar.start(0, 0);
  const damaged = new Map<string, DamagedReference>();
  const note = (found: readonly (DamagedReference | undefined)[]) => {
    for (const one of found) if (one !== undefined) damaged.set(`${one.subjectId} ${one.referenceId}`, one);
  };
  const mayLackGalleries: string[] = [];
  const spared = new Set<string>();
  let [subjects, references] = [0, 0];
  try {
    await store.subjects.snapshot((batch, _, unreadable = []) => {
      note(unreadable);
      for (const one of batch) {
        note(one.damaged ?? []);
        const faults = one.references.map(faultOf);
        note(faults);
        if (faults.includes(undefined)) spared.add(one.subject.subjectId);
        if (one.mayLackGalleries === true) mayLackGalleries.push(one.subject.subjectId);
        references += one.references.length;
      }
      bar.update((subjects += batch.length));
      return Promise.resolve();
    }, SUBJECTS_PER_BATCH);
  } finally {
    bar.stop();
  }
  const named = new Set([...damaged.values()].map(({ subjectId }) => subjectId));
  const vanished = (await store.repair.vanishedSubjects()).filter((subjectId) => !named.has(subjectId));
  note(vanished.map((subjectId) => ({ referenceId: '', subjectId, reason: 'SUBJECT_DAMAGED' })));
  const all = [...damaged.values()];
  const expungeable = new Set(all.flatMap(({ subjectId }) => (spared.has(subjectId) ? [] : [subjectId]))).size;
  const damagedChanges = await store.repair.damagedChanges();
  const damagedClients = await damagedClientsOf(store);
  const { excessRights } = store;
  return {
    subjects,
    references,
    expungeable,
    damaged: all,
    mayLackGalleries,
    damagedChanges,
    damagedClients,
    excessRights,
  };
}

/** Where blocks of their tables cannot be read, the check names the blocks. */
async function damagedClientsOf({ clients }: StoreAccess['store']): Promise<readonly DamagedClient[]> {
  try {
    return (await clients.readClients()).damaged;
  } catch (error) {
    if (error instanceof Failure && error.reason === 'STORE_DAMAGED') return [];
    throw error;
  }
}

async function mendWithoutLoss(repair: StoreRepair, structure: Structure, reason: string): Promise<Mended> {
  const indexes = structure.indexes.length === 0 ? [] : await repair.rebuildIndexes(structure.indexes);
  // A damaged index can hide further damage, which shows only now.
  const now = indexes.length === 0 ? structure : await repair.examine();
  const tables = await repair.restoreDerived(now);
  // A rebuilt counter may reveal further missing changes.
  const { missingChanges, blocks } = tables.includes('change_counter') ? await repair.examine() : now;
  // The changes show which subjects are missing: they are filled only once the fate of those subjects is decided.
  const isWhole =
    missingChanges > 0 &&
    !blocks.some(({ table, isEmptied }) => table === 'subject' || (table === 'change' && isEmptied !== true)) &&
    // If emptied blocks can be detected, a missing subject was expunged, and its change is among the lost ones.
    ((await repair.seesEmptiedBlocks()) || (await repair.vanishedSubjects()).length === 0);
  return {
    indexes,
    tables,
    changesFilled: isWhole ? await repair.mendChanges(reason) : 0,
    changesReplaced: 0,
    rewritten: [],
    repaired: [],
  };
}

/** Removes what cannot be read, after confirmation. */
async function takeOut(
  access: StoreAccess,
  findings: Findings,
  before: Mended | undefined,
  reason: string,
  options: CheckOptions,
  done: Mended['rewritten'][number][],
): Promise<Checked> {
  const { repair } = access.store;
  const { structure, damaged } = findings;
  const left = before?.indexes.filter(({ outcome }) => outcome !== 'rebuilt' && outcome !== 'table-damaged') ?? [];
  if (left.length > 0 || !(await repair.mayMend(structure.blocks))) {
    const obstacle =
      left.length > 0
        ? 'Nothing was expunged: the damaged indexes have to be rebuilt first.'
        : 'Nothing was expunged: this needs an administrator of the database.';
    return { code: report({ ...findings, obstacle }, before, options), mended: before };
  }
  if (!(await isAgreed(findings, options))) {
    process.stderr.write('Nothing was removed.\n');
    return { code: EXIT.refused, mended: before };
  }
  const most = options.expungeAtMost ?? findings.expungeable;
  const note = (table: string) =>
    void done.push({ table, blocks: structure.blocks.filter((one) => one.table === table).map(({ block }) => block) });
  const rewrite = (when: 'before' | 'after') =>
    repair.rewrite(structure.blocks, when, findings.mayLackGalleries, reason, note);
  await rewrite('before');
  const repaired = await removeDamaged(access, damaged, reason, most);
  await rewrite('after');
  await repair.rebuildLeft();
  // Left over from an earlier run that was interrupted.
  const isLeft = structure.missingChanges > 0 && (await repair.examine()).missingChanges > 0;
  const changesFilled = isLeft ? await repair.fillChanges(reason) : 0;
  const after = await repair.examine();
  const mended = { ...(before ?? NOTHING), ...(changesFilled > 0 && { changesFilled }), rewritten: done, repaired };
  return { code: report({ ...(await read(access, options)), structure: after }, mended, options), mended };
}

/** @throws Failure EXPUNGE_LIMIT: more subjects would be expunged than the operator allowed, or than is usual */
function isAgreed({ subjects, expungeable, damaged, structure }: Findings, options: CheckOptions): Promise<boolean> {
  const unreadable = new Set(damaged.filter(isOfSubject).map((one) => one.subjectId));
  const all = subjects + unreadable.size;
  const isMany = expungeable > all * USUAL_SHARE;
  const { expungeAtMost } = options;
  if (expungeAtMost === undefined ? isMany && options.yes === true : expungeable > expungeAtMost) {
    const sentence = `${expungeable} of ${all} subjects would be expunged for good; nothing was expunged. A backup may bring them back. To expunge them, give --expunge-at-most ${expungeable}.`;
    throw new Failure('invalid-argument', 'EXPUNGE_LIMIT', sentence);
  }
  const changed = new Set(damaged.map(({ subjectId }) => subjectId)).size;
  const lossy = new Set(structure.blocks.filter(({ mend }) => mend === 'expunge').map(({ table }) => table));
  const blocks = lossy.size === 0 ? '' : ` and the content of the damaged blocks of ${[...lossy].join(', ')}`;
  const question = `Remove ${damaged.length} damaged references of ${changed} subjects${blocks} for good, and expunge the ${expungeable} of ${all} subjects without a readable reference?`;
  return agreed(options, question, isMany ? String(expungeable) : 'yes');
}

async function removeDamaged(
  { store, configuration }: StoreAccess,
  damaged: readonly DamagedReference[],
  reason: string,
  maxExpunged: number,
): Promise<Repaired[]> {
  const { receiptKey, dataDir, indexDir } = configuration;
  const signer = await ReceiptSigner.open(receiptKey, dataDir);
  const indexes = await listIndexes(indexDir);
  return store.repair.removeAll(damaged, reason, maxExpunged, ({ subjectId, isExpunged, ...removed }) =>
    signer.sign(
      {
        subjectId,
        change: removed.seq,
        time: removed.at.toISOString(),
        requested_by: 'ridgewatch store check',
        reason,
        references_removed: removed.referencesRemoved,
        indexes_affected: indexes.filter((name) => {
          const sequence = sequenceOfName(name);
          return sequence >= removed.firstSeq && sequence < removed.seq;
        }),
      },
      isExpunged ? 'expunge' : 'removal',
    ),
  );
}

function report(findings: Findings, mended: Mended | undefined, options: CheckOptions): number {
  printResult(options, documentOf(findings, mended), sentencesOf(findings, mended).join('\n'));
  return isDamaged(findings) ? EXIT.damaged : EXIT.ok;
}
