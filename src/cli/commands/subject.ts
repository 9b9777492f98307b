import { HistoryEntry, HistoryState } from '../../contract/generated/ridgewatch/v1/gallery.ts';
import { toProtoJson } from '../../contract/proto-json.ts';
import type { ServiceClient } from '../client.ts';
import { EXIT } from '../exit-codes.ts';
import { printResult } from '../output.ts';
import type { ConnectionOptions } from '../shared-options.ts';
import { withService } from './client.ts';

/** Entries in one call; more are asked for page by page. */
const PAGE = 1000;

/** Prints what was changed of a subject. */
export function subjectHistory([subjectId = '']: readonly string[], options: ConnectionOptions): Promise<number> {
  return withService(options, async (client) => {
    const entries = await wholeHistory(client, subjectId);
    const document = { subject_id: subjectId, entries: entries.map((one) => toProtoJson(HistoryEntry.toJSON(one))) };
    printResult(options, document, entries.flatMap(describe).join('\n'));
    return EXIT.ok;
  });
}

async function wholeHistory(client: ServiceClient, subjectId: string): Promise<HistoryEntry[]> {
  const entries: HistoryEntry[] = [];
  let afterGalleryVersion = 0;
  do {
    const page = await client.readHistory({ subjectId, pageSize: PAGE, afterGalleryVersion });
    entries.push(...page.entries);
    afterGalleryVersion = page.nextAfterGalleryVersion;
  } while (afterGalleryVersion !== 0);
  return entries;
}

/** A line for the change, and one for each thing that it changed. */
function describe(entry: HistoryEntry): string[] {
  const { version, time, fields, removedReferences, addedReferences } = entry;
  const what = version === 1 ? 'enrolled' : 'changed';
  const lines = [`${time?.toISOString() ?? ''}  version ${version}: ${what} ${byWhom(entry)}`];
  for (const { field, before, after } of fields) lines.push(`  ${field}: ${valueOf(before)} -> ${valueOf(after)}`);
  if (removedReferences.length + addedReferences.length > 0)
    lines.push(`  references: ${removedReferences.length} replaced by ${addedReferences.length}`);
  return lines;
}

function byWhom({ state, clientId, agency, reason }: HistoryEntry): string {
  if (state === HistoryState.KNOWN) return `by ${clientId} of ${agency}`;
  if (state === HistoryState.DAMAGED) return '(what is stored of this change is not what was written)';
  return reason === '' ? '(by whom was not recorded)' : `by a repair of the store: ${reason}`;
}

function valueOf(values: readonly string[]): string {
  return values.length === 0 ? 'not set' : values.join(', ');
}
