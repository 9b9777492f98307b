import type { LostOfTable } from '../store/lost-rows.ts';
import type { DamagedReference } from '../store/records.ts';

/** Largest number of damaged references named on standard error. */
const MAX_NAMED = 20;

/** Names damaged references, which are skipped, on standard error. */
export function warnOfDamage(damaged: readonly DamagedReference[]): void {
  for (const one of damaged.slice(0, MAX_NAMED)) process.stderr.write(`skipped: ${describeDamage(one)}\n`);
  if (damaged.length > 0)
    process.stderr.write(`${damaged.length} stored references are damaged: ridgewatch store check lists them.\n`);
}

/**
 * Reports on standard error which tables lack rows.
 * @param which - tables to report; undefined: all
 * @returns whether any of them lacks rows
 */
export function warnOfLost(tables: readonly LostOfTable[], which?: readonly string[]): boolean {
  const told = tables.filter(({ table }) => which === undefined || which.includes(table));
  for (const { table, blocks, rows } of told)
    process.stderr.write(
      `The table ${table} lacks ${rows} rows that its indexes list, in ${blocks.length} blocks: ridgewatch store check names the remedy.\n`,
    );
  return told.length > 0;
}

export function describeDamage({ referenceId, subjectId, reason }: DamagedReference): string {
  const reference = referenceId === '' ? 'a reference whose id cannot be read' : `reference ${referenceId}`;
  return `${reference} of subject ${subjectId} (${reason})`;
}
