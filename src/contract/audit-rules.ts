/** Rules for requests about the audit. */
import { z } from 'zod';
import { AUDIT_KINDS } from '../audit/audit-entry.ts';
import { MAX_LISTED, name, uuid } from './validation.ts';

/** Records of one reading. */
export const MAX_READ_RECORDS = 100_000;
const MAX_METHOD = 128;

const orNone = <T extends z.ZodType>(rule: T) => rule.or(z.literal(''));
const filter = z
  .object({
    startTime: z.date('must be a valid time').optional(),
    endTime: z.date('must be a valid time').optional(),
    clientId: orNone(name),
    agency: orNone(name),
    subjectId: orNone(uuid),
    kind: orNone(z.enum(AUDIT_KINDS, `must be one of ${AUDIT_KINDS.join(', ')}`)),
    method: z
      .string()
      .regex(/^[A-Za-z0-9 ._/-]*$/, 'is not the name of a method')
      .max(MAX_METHOD, 'is too long'),
    writer: orNone(uuid),
  })
  .refine(({ startTime, endTime }) => startTime === undefined || endTime === undefined || startTime < endTime, {
    error: 'must be after start_time',
    path: ['endTime'],
  });

export const readAuditRules = z.object({
  filter: filter.optional(),
  after: z.object({ writer: uuid, seq: z.number().min(1, 'must be at least 1') }).optional(),
  maxRecords: z.number().max(MAX_READ_RECORDS, `must be at most ${MAX_READ_RECORDS}`),
});
export const auditHeadsRules = z.object({
  pageSize: z.number().max(MAX_LISTED, `must be at most ${MAX_LISTED}`),
  afterWriter: orNone(uuid),
});
