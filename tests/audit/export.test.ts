/** An exported file is verified without the database, and shows no agency what is not its own. */
import { createPublicKey } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openAuditKey, readAuditKey } from '../../src/audit/audit-key.ts';
import type { AuditFilter } from '../../src/audit/audit-log.ts';
import type { KnownKeys } from '../../src/audit/chain-check.ts';
import { exportAudit, type ExportFacts } from '../../src/audit/export.ts';
import { verifyExport } from '../../src/audit/verify-export.ts';
import { openStore, type Store } from '../../src/store/store.ts';
import { startTestCluster, temporaryDirectory, type TestCluster } from '../cluster.ts';
import { temporaryKeys } from '../keys.ts';
import { anchorOf, openTrail, search, type Place } from './trails.ts';

const RECORDS = 60;
const EVERYTHING: AuditFilter = {
  since: undefined,
  until: undefined,
  agency: undefined,
  clientId: undefined,
  subjectId: undefined,
};

let cluster: TestCluster;
let store: Store;
let place: Place;
let keys: KnownKeys;
let whole: string;
let excerpt: string;
let facts: ExportFacts;

beforeAll(async () => {
  cluster = await startTestCluster();
  const url = await cluster.createDatabase();
  place = { dataDir: temporaryDirectory(), keys: temporaryKeys() };
  store = await openStore({ databaseUrl: url, dataDir: '', keys: place.keys, log: () => undefined });
  for (const from of [0, RECORDS / 2]) {
    const trail = await openTrail(url, place);
    for (let i = 0; i < RECORDS / 2; i += 5)
      await Promise.all([0, 1, 2, 3, 4].map((more) => trail.record(search(from + i + more))));
    await trail.close();
  }
  const { publicKey, fingerprint } = readAuditKey(undefined, place.dataDir);
  keys = new Map([[fingerprint, createPublicKey(publicKey)]]);
  [whole, excerpt] = [join(place.dataDir, 'whole.ndjson'), join(place.dataDir, 'excerpt.ndjson')];
  await write(whole, EVERYTHING);
  facts = await write(excerpt, { ...EVERYTHING, agency: 'agency 1' });
});
afterAll(async () => {
  await store.close();
  await cluster.stop();
});

function write(file: string, filter: AuditFilter): Promise<ExportFacts> {
  const signer = readAuditKey(undefined, place.dataDir);
  return store.readAudit((reader) => exportAudit({ file, reader, filter, signer, onProgress: () => undefined }));
}

const verify = (file: string, anchors: readonly string[] = []) => verifyExport(file, { keys, anchors });

/** A copy with other lines. */
function changed(file: string, change: (lines: string[]) => string[]): string {
  const copy = join(temporaryDirectory(), 'changed.ndjson');
  writeFileSync(copy, change(readFileSync(file, 'utf8').trimEnd().split('\n')).join('\n') + '\n');
  return copy;
}

describe('a whole export', () => {
  it('has every record, and is verified without the database, with an anchor and without', async () => {
    const sound = { records: RECORDS + 4, writers: 2, faulty: 0, isWhole: true, isAsExported: true };
    expect(await verify(whole)).toMatchObject(sound);
    expect(await verify(whole, [anchorOf(place)])).toMatchObject(sound);
  });

  it('is not as exported after any change of a line', async () => {
    const lines = readFileSync(whole, 'utf8').trimEnd().split('\n');
    await fc.assert(
      fc.asyncProperty(fc.nat(lines.length - 1), fc.constantFrom('drop', 'double', 'swap', 'edit'), async (at, how) => {
        const copy = changed(whole, (given) => {
          const other = [...given];
          const line = other[at] ?? '';
          if (how === 'drop') other.splice(at, 1);
          else if (how === 'double') other.splice(at, 0, line);
          else if (how === 'swap')
            other.splice(at === 0 ? 0 : at - 1, 2, ...other.slice(at === 0 ? 0 : at - 1, at + 1).reverse());
          else other[at] = line.replace(/[0-9](?=[^0-9]*$)/, (digit) => String((Number(digit) + 1) % 10));
          return other;
        });
        if (readFileSync(copy, 'utf8') === readFileSync(whole, 'utf8')) return;
        const verdict = await verify(copy).catch((error: unknown) => {
          // The first line is that of another format.
          expect(error).toMatchObject({ reason: 'AUDIT_EXPORT_UNKNOWN' });
          return undefined;
        });
        expect(verdict?.isAsExported ?? false).toBe(false);
      }),
      { numRuns: 100 },
    );
  });

  it('names the first bad record even if the whole file was signed again', async () => {
    const copy = changed(whole, (lines) => lines.map((line) => line.replace('"request 17"', '"request 71"')));
    const { faults } = await verify(copy);
    expect(faults).toMatchObject([{ seq: 19, kind: 'altered' }]);
  });

  it('is refused where the keys are others', async () => {
    const { publicKey } = readAuditKey(undefined, await otherPlace());
    const verdict = await verifyExport(whole, { keys: new Map([['00'.repeat(32), createPublicKey(publicKey)]]) });
    expect(verdict).toMatchObject({ isAsExported: false, faulty: 2, faults: [{ kind: 'unknown-key' }, {}] });
  });
});

async function otherPlace(): Promise<string> {
  const dataDir = temporaryDirectory();

  await openAuditKey(undefined, dataDir);
  return dataDir;
}

describe('an excerpt', () => {
  it('proves its records, and is verified without the others', async () => {
    expect(facts.records).toBe(RECORDS / 2);
    expect(facts.withheld).toBeGreaterThan(0);
    const sound = { records: facts.records + facts.withheld, faulty: 0, isWhole: false, isAsExported: true };
    expect(await verify(excerpt)).toMatchObject(sound);
  });

  it('shows nothing of the others', () => {
    const text = readFileSync(excerpt, 'utf8');
    for (let i = 0; i < RECORDS; i++) expect(text.includes(`"request ${i}"`)).toBe(i % 2 === 1);
    expect(text).not.toContain('"agency 0"');
  });

  it('names a record that was changed', async () => {
    const copy = changed(excerpt, (lines) => lines.map((line) => line.replace('"request 17"', '"request 71"')));
    expect(await verify(copy)).toMatchObject({ isAsExported: false, faults: [{ seq: 19, kind: 'altered' }] });
  });

  it.each(['subjectId', 'clientId', 'since', 'until'] as const)('can be made by %s', async (name) => {
    const values = {
      subjectId: '00000000-0000-7000-8000-000000000005',
      clientId: 'gate-1',
      since: new Date(Date.UTC(2026, 0, 1) + 507).toISOString(),
      until: new Date(Date.UTC(2026, 0, 1) + 107).toISOString(),
    };
    const file = join(temporaryDirectory(), 'excerpt.ndjson');
    const { records } = await write(file, { ...EVERYTHING, [name]: values[name] });
    // The first and last records of both writers have the time of the test.
    expect(records).toBe({ subjectId: 2, clientId: 20, since: 14, until: 10 }[name]);
    expect(await verify(file)).toMatchObject({ faulty: 0, isAsExported: true });
  });
});

it('a file that exists is not replaced', async () => {
  await expect(write(whole, EVERYTHING)).rejects.toMatchObject({ reason: 'OUTPUT_EXISTS' });
  expect(existsSync(whole)).toBe(true);
});
