/** Every change that an attacker with the database, but without the key, makes to the audit is found. */
import { writeFileSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readAuditKey } from '../../src/audit/audit-key.ts';
import { canonicalText, digestOf, hashOf, NO_HASH } from '../../src/audit/chain.ts';
import type { Fault } from '../../src/audit/chain-check.ts';
import { verifyAudit, type Verdict } from '../../src/audit/verify.ts';
import { auditReader } from '../../src/store/audit-reader.ts';
import { openStore } from '../../src/store/store.ts';
import { startTestCluster, temporaryDirectory, type TestCluster } from '../cluster.ts';
import { temporaryKeys } from '../keys.ts';
import { anchorOf, knownKeys, openTrail, search, type Place } from './trails.ts';

const TRIALS = 1000;
/** Records that each writer is given, beside its first and its last. */
const LENGTHS = [7, 12, 5];
/** Left alone, the trials would be refused by the database itself. */
const UNGUARDED = "SET LOCAL session_replication_role = 'replica'";

interface Row {
  writer: string;
  seq: string;
  entry: string;
  hash: Buffer;
  signature: Buffer | null;
}

let cluster: TestCluster;
let client: pg.Client;
let other: pg.Client;
let place: Place;
let rows: Row[];
let writers: string[];

beforeAll(async () => {
  cluster = await startTestCluster();
  place = { dataDir: temporaryDirectory(), keys: temporaryKeys() };
  [client, other] = [await filled(place), await filled({ ...place, dataDir: temporaryDirectory() })];
  ({ rows } = await client.query<Row>(
    'SELECT writer, seq, entry, hash, signature FROM audit_record ORDER BY writer, seq',
  ));
  writers = [...new Set(rows.map(({ writer }) => writer))];
});
afterAll(async () => {
  await Promise.all([client.end(), other.end()]);
  await cluster.stop();
});

/** A store with writers one after the other, the last of which was killed. */
async function filled(at: Place): Promise<pg.Client> {
  const url = await cluster.createDatabase();
  await (await openStore({ databaseUrl: url, dataDir: '', keys: place.keys, log: () => undefined })).close();
  // The same key signs in both stores.
  if (at !== place)
    writeFileSync(join(at.dataDir, 'audit-key.pem'), readFileSync(join(place.dataDir, 'audit-key.pem')));
  for (const length of LENGTHS) {
    const trail = await openTrail(url, at);
    for (let left = length; left > 0; left -= 3)
      await Promise.all(Array.from({ length: Math.min(3, left) }, (_, i) => trail.record(search(10 * left + i))));
    await trail.close();
  }
  const database = new pg.Client({ connectionString: url });
  await database.connect();
  return database;
}

async function verify(anchors: readonly string[]): Promise<Verdict> {
  const keys = knownKeys(readAuditKey(undefined, place.dataDir));
  return verifyAudit(await auditReader(client), { keys, anchors });
}

/** What the changes do to the records, and what is found. Nothing of it stays. */
async function tried(change: () => Promise<unknown>, anchors = [anchorOf(place)]): Promise<Verdict> {
  await client.query(`BEGIN; ${UNGUARDED}`);
  try {
    await change();
    return await verify(anchors);
  } finally {
    await client.query('ROLLBACK');
  }
}

const at = (row: Row) => [row.writer, row.seq];
const WHERE = 'WHERE writer = $1 AND seq = $2';
const hashes = async (writer: string, from: number) => {
  // As an attacker who knows how the chain is made would: all hashes fit again, the signatures do not.
  const { rows: left } = await client.query<Row>(
    'SELECT writer, seq, entry, hash FROM audit_record WHERE writer = $1 ORDER BY seq',
    [writer],
  );
  let hash: Buffer = NO_HASH;
  for (const row of left) {
    hash = hashOf(hash, digestOf(row.entry));
    if (Number(row.seq) >= from) await client.query(`UPDATE audit_record SET hash = $3 ${WHERE}`, [...at(row), hash]);
  }
};

/** How a record can be changed. @returns the numbers of which one must be named, of the record's writer */
const CHANGES: Record<string, (row: Row, index: number) => Promise<{ first: number; last: number }>> = {
  'an edited text': async (row) => {
    const entry = canonicalText({ ...(JSON.parse(row.entry) as object), client_id: 'nobody' });
    await client.query(`UPDATE audit_record SET entry = $3, client_id = 'nobody' ${WHERE}`, [...at(row), entry]);
    return exactly(row);
  },
  'one byte of a text': async (row, index) => {
    const i = index % row.entry.length;
    const entry = row.entry.slice(0, i) + (row.entry[i] === 'x' ? 'y' : 'x') + row.entry.slice(i + 1);
    await client.query(`UPDATE audit_record SET entry = $3 ${WHERE}`, [...at(row), entry]);
    return exactly(row);
  },
  'an edited text with all hashes made anew': async (row) => {
    const entry = canonicalText({ ...(JSON.parse(row.entry) as object), purpose: 'other' });
    await client.query(`UPDATE audit_record SET entry = $3 ${WHERE}`, [...at(row), entry]);
    await hashes(row.writer, Number(row.seq));
    return batchOf(row);
  },
  'a deleted record': async (row) => {
    await client.query(`DELETE FROM audit_record ${WHERE}`, at(row));
    return isLastOf(row) ? { first: batchOf(row).first, last: Number(row.seq) } : exactly(row);
  },
  'a deleted record with those behind moved up': async (row) => {
    await client.query(`DELETE FROM audit_record ${WHERE}`, at(row));
    await client.query('UPDATE audit_record SET seq = seq + 1000 WHERE writer = $1 AND seq > $2', at(row));
    await client.query('UPDATE audit_record SET seq = seq - 1001 WHERE writer = $1 AND seq > 1000', [row.writer]);
    await hashes(row.writer, Number(row.seq));
    return { first: batchOf(row).first, last: Number(row.seq) };
  },
  'an inserted record': async (row) => {
    await client.query('UPDATE audit_record SET seq = seq + 1000 WHERE writer = $1 AND seq >= $2', at(row));
    await client.query('UPDATE audit_record SET seq = seq - 999 WHERE writer = $1 AND seq > 1000', [row.writer]);
    await client.query(
      `INSERT INTO audit_record SELECT writer, $2::bigint, at, kind, client_id, agency, subjects, entry, hash, signature
       FROM audit_record WHERE writer = $1 AND seq = $2::bigint + 1`,
      at(row),
    );
    await hashes(row.writer, Number(row.seq));
    // The copy is in the place of the record; the record itself has moved.
    return { first: batchOf(row).first, last: Number(row.seq) + 1 };
  },
  'an added record': async (row) => {
    const last = lastOf(row);
    const seq = Number(last.seq) + 1;
    const entry = canonicalText({ ...(JSON.parse(last.entry) as object), seq });
    const hash = hashOf(last.hash, digestOf(entry));
    await client.query(
      `INSERT INTO audit_record SELECT writer, $3, at, kind, client_id, agency, subjects, $4, $5, signature
       FROM audit_record ${WHERE}`,
      [...at(last), seq, entry, hash],
    );
    return { first: seq, last: seq };
  },
  'two records in the place of each other': async (row) => {
    const next = rows[rows.indexOf(row) + 1];
    const [a, b] = next?.writer === row.writer ? [row, next] : [rows[rows.indexOf(row) - 1] ?? row, row];
    for (const [to, from] of [
      [a, b],
      [b, a],
    ] as const)
      await client.query(`UPDATE audit_record SET entry = $3, hash = $4, signature = $5 ${WHERE}`, [
        ...at(to),
        from.entry,
        from.hash,
        from.signature,
      ]);
    return exactly(a);
  },
  'a record of another store': async (row) => {
    const { rows: found } = await other.query<Row>(
      'SELECT entry, hash, signature FROM audit_record WHERE seq = $1 LIMIT 1',
      [row.seq],
    );
    const [foreign = row] = found;
    await client.query(`UPDATE audit_record SET entry = $3, hash = $4, signature = $5 ${WHERE}`, [
      ...at(row),
      foreign.entry,
      foreign.hash,
      foreign.signature,
    ]);
    return exactly(row);
  },
  'everything from a record on cut off': async (row) => {
    await client.query('DELETE FROM audit_record WHERE writer = $1 AND seq >= $2', at(row));
    return { first: batchOf(row).first, last: Number(row.seq) };
  },
  'a whole writer removed': async (row) => {
    await client.query('DELETE FROM audit_record WHERE writer = $1', [row.writer]);
    return { first: 1, last: 1 };
  },
  'a signature removed': async (row) => {
    const signed = rows.filter(({ writer, signature }) => writer === row.writer && signature !== null);
    const one = signed[Number(row.seq) % signed.length] ?? row;
    await client.query(`UPDATE audit_record SET signature = NULL ${WHERE}`, at(one));
    return batchOf(one);
  },
  'a signature of another record': async (row, index) => {
    const signed = rows.filter(({ signature }) => signature !== null);
    const own = rows.find((one) => one.writer === row.writer && one.seq >= row.seq && one.signature !== null) ?? row;
    const another = signed.filter((one) => one !== own)[index % (signed.length - 1)];
    await client.query(`UPDATE audit_record SET signature = $3 ${WHERE}`, [...at(own), another?.signature]);
    return batchOf(own);
  },
  'a record hidden from those who ask for its client': async (row) => {
    await client.query(`UPDATE audit_record SET client_id = 'nobody' ${WHERE}`, at(row));
    return exactly(row);
  },
  'a record hidden from those who ask for a subject': async (row) => {
    const sql = `UPDATE audit_record SET subjects = CASE WHEN subjects = '{}' THEN ARRAY[gen_random_uuid()] ELSE '{}' END`;
    await client.query(`${sql} ${WHERE}`, at(row));
    return exactly(row);
  },
  'a record at another time': async (row) => {
    await client.query(`UPDATE audit_record SET at = at + interval '1 ms' ${WHERE}`, at(row));
    return exactly(row);
  },
};

function exactly({ seq }: Row): { first: number; last: number } {
  return { first: Number(seq), last: Number(seq) };
}

/** The records that one signature covers. */
function batchOf({ writer, seq }: Row): { first: number; last: number } {
  const own = rows.filter((one) => one.writer === writer && one.signature !== null).map((one) => Number(one.seq));
  const before = own.filter((signed) => signed < Number(seq)).at(-1) ?? 0;
  return { first: before + 1, last: own.find((signed) => signed >= Number(seq)) ?? Number(seq) };
}

function lastOf({ writer }: Row): Row {
  return rows.filter((one) => one.writer === writer).at(-1) ?? rows[0];
}

function isLastOf(row: Row): boolean {
  return lastOf(row) === row;
}

function named({ faults }: Verdict, writer: string): Fault | undefined {
  return faults.find((fault) => fault.writer === writer);
}

describe('the verification', () => {
  it('finds nothing where nothing was changed', async () => {
    const nothing = await tried(() => Promise.resolve());
    expect(nothing).toEqual({
      records: LENGTHS.reduce((sum, length) => sum + length + 2, 0),
      writers: LENGTHS.length,
      faults: [],
      faulty: 0,
      lostByRestore: [],
      badAnchorLines: [],
    });
  });

  it(`finds each of ${TRIALS} random changes, and names the first bad record`, { timeout: 300_000 }, async () => {
    const kinds = Object.keys(CHANGES);
    const trial = fc.record({
      kind: fc.constantFrom(...kinds),
      row: fc.nat(rows.length - 1),
      index: fc.nat(10_000),
    });
    await fc.assert(
      fc.asyncProperty(trial, async ({ kind, row: number, index }) => {
        const row = rows[number];
        let range = { first: 0, last: 0 };
        const verdict = await tried(async () => {
          range = (await CHANGES[kind]?.(row, index)) ?? range;
        });
        const fault = named(verdict, row.writer);
        expect(fault).toBeDefined();
        expect(fault?.seq).toBeGreaterThanOrEqual(range.first);
        expect(fault?.seq).toBeLessThanOrEqual(range.last);
      }),
      { numRuns: TRIALS },
    );
  });

  it.each([0, 1])('finds writer %i removed by what the next one names, without an anchor', async (i) => {
    const remove = () => client.query('DELETE FROM audit_record WHERE writer = $1', [writers[i]]);
    expect(await tried(remove, [])).toMatchObject({ faults: [{ writer: writers[i], seq: 1, kind: 'removed' }] });
  });

  it('finds the last writer, and all writers, removed by the anchor', async () => {
    const last = writers.at(-1);
    const remove = () => client.query('DELETE FROM audit_record WHERE writer = $1', [last]);
    expect(await tried(remove, [])).toMatchObject({ faults: [] });
    expect(await tried(remove)).toMatchObject({ faults: [{ writer: last, seq: 1, kind: 'removed' }] });
    const all = await tried(() => client.query('TRUNCATE audit_record'));
    expect(all.faults.map(({ kind }) => kind)).toEqual(writers.map(() => 'removed'));
  });

  it('finds a writer of another store', async () => {
    const { rows: foreign } = await other.query<{ writer: string }>(
      'SELECT writer FROM audit_record ORDER BY 1 LIMIT 1',
    );
    const { rows: all } = await other.query<object>('SELECT * FROM audit_record WHERE writer = $1', [
      foreign[0]?.writer,
    ]);
    const verdict = await tried(async () => {
      for (const row of all)
        await client.query(
          `INSERT INTO audit_record VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
          Object.values(row),
        );
    });
    expect(verdict.faults).toEqual([{ writer: foreign[0]?.writer, seq: 1, kind: 'foreign' }]);
  });

  it('is refused by the database itself, unless its guard is taken away', async () => {
    for (const sql of ['UPDATE audit_record SET kind = kind', 'DELETE FROM audit_record', 'TRUNCATE audit_record'])
      await expect(client.query(sql)).rejects.toThrow('append-only');
  });
});
