import Table from 'cli-table3';
import { listIndexes, sequenceOfName } from '../../gallery/index-files/manifest.ts';
import { faultOf } from '../../gallery/stored-records.ts';
import { ReceiptSigner } from '../../security/receipts.ts';
import type { DamagedReference } from '../../store/records.ts';
import type { DamagedBlock, Repaired } from '../../store/store-repair.ts';
import { agreed } from '../confirmation.ts';
import { EXIT } from '../exit-codes.ts';
import { progressBar, say } from '../output.ts';
import { withStore, type StoreAccess, type StoreOptions } from '../store-access.ts';

interface CheckOptions extends StoreOptions {
  readonly expunge?: boolean;
  readonly yes?: boolean;
  readonly reason?: string;
}

interface Findings {
  readonly subjects: number;
  readonly references: number;
  readonly damaged: readonly DamagedReference[];
  readonly blocks: readonly DamagedBlock[];
}

const SUBJECTS_PER_BATCH = 500;
const REASON = 'damaged in the store';

/** Reads every row and every template, and says what is damaged; with --expunge takes it out. */
export function checkStore(_args: readonly string[], options: CheckOptions): Promise<number> {
  return withStore(options, async (access) => {
    const findings = await read(access, options);
    const { damaged, blocks } = findings;
    const isDamaged = damaged.length > 0 || blocks.length > 0;
    if (options.expunge !== true || !isDamaged) {
      report(findings, undefined, options);
      return isDamaged ? EXIT.damaged : EXIT.ok;
    }
    const subjects = new Set(damaged.map(({ subjectId }) => subjectId)).size;
    const question = `Remove ${damaged.length} damaged references of ${subjects} subjects for good, and expunge the subjects that have no other one?`;
    if (!(await agreed(options, question))) {
      process.stderr.write('Nothing was removed.\n');
      return EXIT.refused;
    }
    const repaired = await mend(access, findings, options.reason ?? REASON);
    const after = await read(access, options);
    report(after, repaired, options);
    return after.damaged.length > 0 || after.blocks.length > 0 ? EXIT.damaged : EXIT.ok;
  });
}

async function read({ store }: StoreAccess, options: CheckOptions): Promise<Findings> {
  const bar = progressBar('reading {value} subjects, {duration_formatted}', options);
  bar.start(0, 0);
  const damaged = new Map<string, DamagedReference>();
  const note = (found: readonly (DamagedReference | undefined)[]) => {
    for (const one of found) if (one !== undefined) damaged.set(`${one.subjectId} ${one.referenceId}`, one);
  };
  let [subjects, references] = [0, 0];
  try {
    await store.subjects.snapshot((batch, _, unreadable = []) => {
      note(unreadable);
      for (const one of batch) {
        note(one.damaged ?? []);
        note(one.references.map(faultOf));
        references += one.references.length;
      }
      bar.update((subjects += batch.length));
      return Promise.resolve();
    }, SUBJECTS_PER_BATCH);
  } finally {
    bar.stop();
  }
  return { subjects, references, damaged: [...damaged.values()], blocks: await store.repair.damagedBlocks() };
}

async function mend({ store, configuration }: StoreAccess, findings: Findings, reason: string): Promise<Repaired[]> {
  const { receiptKey, dataDir, indexDir } = configuration;
  const signer = await ReceiptSigner.open(receiptKey, dataDir);
  const indexes = await listIndexes(indexDir);
  const repaired: Repaired[] = [];
  for (const [subjectId, damaged] of Map.groupBy(findings.damaged, (one) => one.subjectId)) {
    const done = await store.repair.remove(subjectId, damaged, reason, ({ isExpunged, ...removed }) =>
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
    repaired.push(done);
  }
  await store.repair.rewrite(findings.blocks);
  return repaired;
}

function report(
  { subjects, references, damaged, blocks }: Findings,
  repaired: readonly Repaired[] | undefined,
  options: CheckOptions,
): void {
  const document = {
    subjects,
    references,
    damaged: damaged.map(({ referenceId, subjectId, reason }) => ({
      reference_id: referenceId,
      subject_id: subjectId,
      reason,
    })),
    blocks: blocks.map(({ table, block, isMended }) => ({ table, block, mended_by_expunge: isMended })),
    ...(repaired !== undefined && {
      repaired: repaired.map(({ subjectId, isExpunged, referencesRemoved, seq }) => ({
        subject_id: subjectId,
        outcome: isExpunged ? 'expunged' : 'references removed',
        references_removed: referencesRemoved,
        change: seq,
      })),
    }),
  };
  const lines = [`${references} references of ${subjects} subjects can be read.`];
  const style = { head: [], border: [] };
  if (repaired !== undefined) {
    const expunged = repaired.filter(({ isExpunged }) => isExpunged).length;
    lines.push(
      `${repaired.length} subjects were mended, ${expunged} of them by expunging them; receipt show has the receipts.`,
    );
  }
  if (damaged.length > 0) {
    const table = new Table({ head: ['reference', 'subject', 'what is wrong'], style });
    for (const { referenceId, subjectId, reason } of damaged) table.push([referenceId || '?', subjectId, reason]);
    lines.push(`${damaged.length} references are damaged:`, table.toString());
  }
  if (blocks.length > 0) {
    const table = new Table({ head: ['table', 'block', 'what mends it'], style });
    for (const { table: name, block, isMended } of blocks)
      table.push([name, block, isMended ? '--expunge' : 'a backup']);
    lines.push(`${blocks.length} blocks cannot be read:`, table.toString());
  }
  if (damaged.length + blocks.length === 0) lines.push('Nothing is damaged.');
  else if (repaired === undefined)
    lines.push('A backup brings them back; --expunge removes them, with a receipt for each subject.');
  say(options, document, lines.join('\n'));
}
