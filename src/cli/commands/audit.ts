import { createPublicKey, type KeyObject } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { placeOfAnchor } from '../../audit/anchor.ts';
import { parseRecord } from '../../audit/audit-entry.ts';
import { readAuditKey } from '../../audit/audit-key.ts';
import type { AuditFilter } from '../../audit/audit-log.ts';
import type { KnownKeys } from '../../audit/chain-check.ts';
import { exportAudit } from '../../audit/export.ts';
import { spooledRecords } from '../../audit/spool-replay.ts';
import { spoolFolder } from '../../audit/spool.ts';
import { verifyExport } from '../../audit/verify-export.ts';
import { verifyAudit, type Verdict } from '../../audit/verify.ts';
import type { Configuration } from '../../configuration.ts';
import { requireNew } from '../../files/durable-file.ts';
import { Failure } from '../../failure.ts';
import { fingerprintOf, readPublicKey } from '../../security/signing-key.ts';
import { documentOfVerdict, isVerified, sentencesOfVerdict, tableOfRecords } from '../audit-report.ts';
import { EXIT } from '../exit-codes.ts';
import { progressBar, printResult } from '../output.ts';
import { storeSettings, withStore, type StoreOptions } from '../store-access.ts';

interface VerifyOptions extends StoreOptions {
  readonly anchor?: readonly string[];
  readonly publicKey?: readonly string[];
}

interface FilterOptions extends StoreOptions {
  readonly since?: string;
  readonly until?: string;
  readonly agency?: string;
  readonly client?: string;
  readonly subject?: string;
}

/** Prints the public key that verifies the audit. */
export function auditKey(_args: readonly string[], options: StoreOptions): Promise<number> {
  const configuration = storeSettings(options);
  const { publicKey, fingerprint } = readAuditKey(configuration.auditKey, configuration.dataDir);
  process.stdout.write(options.json === true ? `${JSON.stringify({ pem: publicKey, fingerprint })}\n` : publicKey);
  return Promise.resolve(EXIT.ok);
}

/** Verifies the records in the store, or in an exported file. */
export async function verifyRecords([file]: readonly string[], options: VerifyOptions): Promise<number> {
  const configuration = storeSettings(options);
  const keys = keysOf(configuration, options.publicKey ?? []);
  const own = placeOfAnchor(configuration.auditAnchor, configuration.dataDir);
  if (file !== undefined) {
    const anchors = options.anchor ?? [];
    return report(await verifyExport(file, { keys, anchors }), anchors, options);
  }
  const anchors = options.anchor ?? (existsSync(own) ? [own] : []);
  return withStore(options, async ({ store, keys: sealer }) => {
    // Read first: a record that comes to the database meanwhile is in both.
    const spooled = await spooledRecords(spoolFolder(configuration.dataDir), sealer);
    const verdict = await store.readAudit((reader) => verifyAudit(reader, { keys, anchors, spooled }));
    return report(verdict, anchors, options);
  });
}

/** Writes records to a file. */
export function exportRecords(
  _args: readonly string[],
  options: FilterOptions & { readonly out: string },
): Promise<number> {
  const { out: file } = options;
  requireNew(file);
  const configuration = storeSettings(options);
  const signer = readAuditKey(configuration.auditKey, configuration.dataDir);
  return withStore(options, async ({ store }) => {
    const bar = progressBar('exporting {value} records, {duration_formatted}', options);
    bar.start(0, 0);
    const onProgress = (done: number) => bar.update(done);
    const filter = filterOf(options);
    const facts = await store
      .readAudit((reader) => exportAudit({ file, reader, filter, signer, onProgress }))
      .finally(() => bar.stop());
    const { records, withheld } = facts;
    const rest = withheld === 0 ? '' : ` Of ${withheld} others it has digests only, which prove its records.`;
    const sentence = `${file} holds ${records} records.${rest} It is verified with the public key: ridgewatch audit verify ${file} --public-key FILE`;
    printResult(options, { file, ...facts }, sentence);
    return EXIT.ok;
  });
}

/** Shows records, newest first. */
export function showRecords(
  _args: readonly string[],
  options: FilterOptions & { readonly limit: number },
): Promise<number> {
  return withStore(options, async ({ store }) => {
    const texts = await store.readAudit((reader) => reader.newest(filterOf(options), options.limit));
    const more = texts.length === options.limit ? '\nThere may be more: --limit.' : '';
    const records = texts.map((text) => JSON.parse(text) as object);
    printResult(
      options,
      { records },
      texts.length === 0 ? 'No record matches.' : `${tableOfRecords(texts.map(parseRecord))}${more}`,
    );
    return EXIT.ok;
  });
}

function filterOf({ since, until, agency, client, subject }: FilterOptions): AuditFilter {
  return { since, until, agency, clientId: client, subjectId: subject };
}

/** The own public key, and those that were given. @throws Failure KEYS_UNREADABLE without any; KEYS_INVALID */
function keysOf({ auditKey: file, dataDir }: Configuration, given: readonly string[]): KnownKeys {
  const keys: KeyObject[] = given.map((name) => readPublicKey(read(name)));
  try {
    keys.push(createPublicKey(readAuditKey(file, dataDir).publicKey));
  } catch (error) {
    if (keys.length === 0) throw error;
  }
  return new Map(keys.map((key) => [fingerprintOf(key), key]));
}

function report(verdict: Verdict, anchors: readonly string[], options: StoreOptions): number {
  printResult(options, documentOfVerdict(verdict, anchors), sentencesOfVerdict(verdict, anchors).join('\n'));
  return isVerified(verdict) ? EXIT.ok : EXIT.tampered;
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    throw new Failure('invalid-argument', 'FILE_UNREADABLE', `${file} cannot be read.`, { cause });
  }
}
