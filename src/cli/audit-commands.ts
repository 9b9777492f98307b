import { InvalidArgumentError, Option, type Command } from 'commander';
import { AUDIT_KINDS } from '../audit/audit-entry.ts';
import { wholeNumber } from './numbers.ts';
import { addConnectionOptions, addStoreOptions, collect, runs } from './shared-options.ts';

const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
const TIME = /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d{1,3})?)?(Z|[+-]\d\d:\d\d))?$/;

/** Commands on the audit; they work beside a running service. */
export function addAuditCommands(audit: Command): void {
  const load = () => import('./commands/audit.ts');
  runs(
    addStoreOptions(audit.command('key').description('print the public key that verifies the audit')),
    async () => (await load()).auditKey,
  );
  runs(
    addStoreOptions(
      audit
        .command('verify')
        .argument('[file]', 'exported file; the store when not given')
        .description('find the first record of each process that was changed, removed or added (exit code 9)'),
    )
      .option(
        '--anchor <file>',
        'anchor to compare with (RIDGEWATCH_AUDIT_ANCHOR); may be given several times',
        collect,
      )
      .option(
        '--public-key <file>',
        'further public key of the audit (PEM), e.g. an earlier one; may be given several times',
        collect,
      )
      .addHelpText(
        'after',
        '\nExamples:\n  $ ridgewatch audit verify --anchor /mnt/elsewhere/audit-anchor.ndjson\n  $ ridgewatch audit verify audit.ndjson --public-key audit.pem',
      ),
    async () => (await load()).verifyRecords,
  );
  runs(
    addFilterOptions(
      addStoreOptions(
        audit.command('export').description('write records to a new file, which can be verified without the database'),
      ),
    )
      .requiredOption('--out <file>', 'new file (JSON lines)')
      .addHelpText(
        'after',
        '\nThe records of others that were signed together with them are in it as digests, which give nothing away.\n\nExample:\n  $ ridgewatch audit export --agency agency-a --since 2026-01-01 --out audit.ndjson',
      ),
    async () => (await load()).exportRecords,
  );
  runs(
    addFilterOptions(addStoreOptions(audit.command('show').description('show records, newest first')))
      .addOption(new Option('--limit <n>', 'longest list').default(50).argParser(wholeNumber(1, 10_000)))
      .addHelpText('after', '\nExample, who searched this person:\n  $ ridgewatch audit show --subject 3f0c9c1e-…'),
    async () => (await load()).showRecords,
  );
  addReading(audit);
}

/** For auditors without the store: by a call, as a client. */
function addReading(audit: Command): void {
  runs(
    addFilterOptions(
      addConnectionOptions(
        audit.command('read').description('read records from a service, in order of writer and number'),
      ),
    )
      .addOption(new Option('--kind <kind>', 'records of this kind').choices(AUDIT_KINDS))
      .option('--method <name>', 'records of this method, e.g. Identification/Identify')
      .option('--writer <id>', 'records of this process')
      .addOption(new Option('--after <writer:number>', 'go on behind this position').argParser(position))
      .addOption(new Option('--limit <n>', 'most records').default(1000).argParser(wholeNumber(1, 100_000)))
      .option(
        '--public-key <file>',
        'public key of the audit (PEM): verify what is read (exit code 9); may be given several times',
        collect,
      )
      .addHelpText(
        'after',
        '\nNeeds the role auditor. Every reading is recorded.\n\nExample:\n  $ ridgewatch audit read --client gate-1 --since 2026-01-31 --public-key audit.pem --json',
      ),
    async () => (await import('./commands/audit-reading.ts')).readRecords,
  );
}

const POSITION = /^([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}):([1-9]\d{0,14})$/;

function position(text: string): { readonly writer: string; readonly seq: number } {
  const [, writer, seq] = POSITION.exec(text) ?? [];
  if (writer !== undefined && seq !== undefined) return { writer, seq: Number(seq) };
  throw new InvalidArgumentError('Expected a position as an earlier reading printed it.');
}

function addFilterOptions(command: Command): Command {
  return command
    .addOption(new Option('--subject <id>', 'records about this subject, or with it as a candidate').argParser(subject))
    .option('--client <id>', 'records of this client')
    .option('--agency <name>', 'records of the clients of this agency')
    .addOption(new Option('--since <time>', 'records that ended then or later (ISO 8601)').argParser(instant))
    .addOption(new Option('--until <time>', 'records that ended before').argParser(instant));
}

function subject(text: string): string {
  if (UUID.test(text)) return text.toLowerCase();
  throw new InvalidArgumentError('Subject ids are UUIDs.');
}

/** @returns ISO 8601 in UTC */
function instant(text: string): string {
  const at = TIME.test(text) ? new Date(text) : undefined;
  if (at !== undefined && !Number.isNaN(at.getTime())) return at.toISOString();
  throw new InvalidArgumentError('Expected a date or a time with its zone, e.g. 2026-01-31 or 2026-01-31T12:00Z.');
}
