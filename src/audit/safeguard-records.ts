/** What safeguards learn from audit records: what comparisons have cost, and which clients were alarmed about. */
import { z } from 'zod';

/** The last record read of each writer, by its id. */
export type WriterPlaces = ReadonlyMap<string, number>;

export interface RecordQuery {
  /** Records that ended earlier are left out. */
  readonly since: Date;
  /** The writer that is not read: the reader's own. */
  readonly except: string;
}

/** Takes texts of records. */
export type RecordsRead = (texts: readonly string[]) => Promise<void>;

/** Reads records of comparisons with subjects, and of alarms. Every method throws Failure of the store. */
export interface RecordReader {
  /** In order of time, at most the newest 500,000. @returns where the writers are, for `later` */
  all(query: RecordQuery, take: RecordsRead): Promise<WriterPlaces>;
  /** What was written since, by whatever clock and however late. @returns where the writers are now */
  later(query: RecordQuery, known: WriterPlaces, take: RecordsRead): Promise<WriterPlaces>;
}

const schema = z.object({
  kind: z.string(),
  ended: z.iso.datetime(),
  client_id: z.string(),
  agency: z.string().optional(),
  action: z.string().optional(),
  purpose: z.string().optional(),
  subject_id: z.string().optional(),
  log10_fmr: z.number().optional(),
  charged: z
    .object({
      client: z.number(),
      subject: z.number(),
      is_hidden: z.boolean().optional(),
      is_weak: z.boolean().optional(),
    })
    .optional(),
  outcome: z.string(),
  reason: z.string().optional(),
  facts: z
    .object({ scope: z.enum(['client', 'agency', 'subject']) })
    .optional()
    .catch(undefined),
});

export type SafeguardRecord = z.output<typeof schema>;

/** @returns undefined: it is none, or names no client */
export function readSafeguardRecord(text: string): SafeguardRecord | undefined {
  try {
    return schema.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}
