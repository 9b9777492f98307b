/** Re-encrypts stored templates while the service runs. */
import type pg from 'pg';
import { Failure } from '../failure.ts';
import type { Keys, Sealed } from '../security/keys.ts';
import { blocksOf, readBlocks } from './damaged-pages.ts';
import { isKeyKnown } from './key-proofs.ts';
import type { DamagedReference } from './records.ts';
import { sealTemplate, unsealTemplate, type SealedRow } from './sealed-templates.ts';
import { isDamage } from './store-damage.ts';
import { inTransaction, READ_ONLY, withoutTimeLimit } from './transaction.ts';

/** Rows re-encrypted in one transaction, which takes some tens of milliseconds: callers hardly wait for it. */
const ROWS_PER_STEP = 500;
const NO_REFERENCE = '00000000-0000-0000-0000-000000000000';

/** Result of re-encrypting all templates. */
export interface Resealed {
  readonly sealed: number;
  readonly damaged: readonly DamagedReference[];
}

interface SealedStep {
  readonly last: string | undefined;
  readonly count: number;
  readonly damaged: readonly DamagedReference[];
}

/** Re-encrypts templates that do not use the current key. Every method throws Failure. */
export class TemplateResealing {
  readonly #pool: pg.Pool;
  readonly #keys: Keys;

  constructor(pool: pg.Pool, keys: Keys) {
    this.#pool = pool;
    this.#keys = keys;
  }

  /**
   * Re-encrypts all templates that do not use the current key, while the service runs. Callers wait for one step at
   * most, and subjects get no change. It can be stopped at any time and restarted.
   * @param which - `plain`: only unencrypted templates
   * @param onProgress - receives the number encrypted so far
   * @returns the number encrypted, and the unreadable references, which stay unchanged
   */
  async sealAll(which: 'plain' | 'all', onProgress: (sealed: number) => void): Promise<Resealed> {
    await this.#waitForWriters();
    const damaged: DamagedReference[] = [];
    let [after, sealed] = [NO_REFERENCE, 0];
    for (;;) {
      const step = await this.#sealStep(which, after).catch((error: unknown) => {
        if (!isDamage(error)) throw error;
        return undefined;
      });
      if (step === undefined) break;
      damaged.push(...step.damaged);
      if (step.last === undefined) return { sealed, damaged };
      after = step.last;
      sealed += step.count;
      onProgress(sealed);
    }
    // A damaged block prevents reading in order: the rest is read block by block.
    const { ids, lost } = await this.#unsealedAround(which);
    // The damaged references so far are met again.
    damaged.splice(0, damaged.length, ...lost);
    for (let at = 0; at < ids.length; at += ROWS_PER_STEP) {
      for (const step of await this.#sealThese(ids.slice(at, at + ROWS_PER_STEP))) {
        damaged.push(...step.damaged);
        sealed += step.count;
      }
      onProgress(sealed);
    }
    return { sealed, damaged };
  }

  /** Ids of references to encrypt in readable blocks, and one lost entry for each other block. */
  #unsealedAround(which: 'plain' | 'all'): Promise<{ readonly ids: string[]; readonly lost: DamagedReference[] }> {
    const condition = which === 'plain' ? 'key_id IS NULL' : 'key_id IS DISTINCT FROM $1';
    const values = which === 'plain' ? [] : [this.#keys.ring.currentId];
    const read = async (client: pg.PoolClient) => {
      await withoutTimeLimit(client);
      const { readable, damaged } = await blocksOf(client, 'reference');
      const sql = (within: string) => `SELECT reference_id FROM reference WHERE ${condition} AND ${within}`;
      const rows = await readBlocks<{ reference_id: string }>(client, readable, sql, values);
      const lost = damaged.map(() => ({ referenceId: '', subjectId: '', reason: 'STORE_DAMAGED' }));
      return { ids: rows.map(({ reference_id }) => reference_id).sort(), lost };
    };
    return inTransaction(this.#pool, read, READ_ONLY);
  }

  /** @returns a step for each part that could be read together */
  async #sealThese(ids: readonly string[]): Promise<SealedStep[]> {
    const condition = 'key_id IS DISTINCT FROM $2 AND reference_id = ANY($1)';
    try {
      return [await this.#seal(condition, [ids, this.#keys.ring.currentId])];
    } catch (error) {
      if (!isDamage(error)) throw error;
      const [only] = ids;
      if (ids.length === 1 && only !== undefined)
        return [{ last: only, count: 0, damaged: [{ referenceId: only, subjectId: '', reason: 'STORE_DAMAGED' }] }];
      const half = Math.ceil(ids.length / 2);
      return [...(await this.#sealThese(ids.slice(0, half))), ...(await this.#sealThese(ids.slice(half)))];
    }
  }

  /**
   * Waits until no transaction is adding a template: all templates under another key are then visible. It locks the
   * table instead of the rows, because later writers queue behind a table lock: under constant writes, its turn still
   * comes.
   */
  #waitForWriters(): Promise<unknown> {
    return inTransaction(this.#pool, (client) => client.query('LOCK TABLE template_key IN EXCLUSIVE MODE'));
  }

  #sealStep(which: 'plain' | 'all', after: string): Promise<SealedStep> {
    const condition = `${which === 'plain' ? 'key_id IS NULL' : 'key_id IS DISTINCT FROM $2'} AND reference_id > $1`;
    return this.#seal(condition, which === 'plain' ? [after] : [after, this.#keys.ring.currentId]);
  }

  /** Re-encrypts the first rows that match a condition, in one transaction. Undecryptable templates stay unchanged. */
  #seal(condition: string, values: readonly unknown[]): Promise<SealedStep> {
    const keys = this.#keys;
    return inTransaction(this.#pool, async (client) => {
      const { rows } = await client.query<SealedRow & { readonly subject_id: string }>(
        `SELECT reference_id, subject_id, key_id, template FROM reference WHERE ${condition}
         ORDER BY reference_id LIMIT ${ROWS_PER_STEP} FOR NO KEY UPDATE`,
        [...values],
      );
      const damaged: DamagedReference[] = [];
      const again: { readonly id: string; readonly sealed: Sealed }[] = [];
      for (const row of rows) {
        const { reference_id: id, subject_id: subjectId } = row;
        try {
          again.push({ id, sealed: sealTemplate(keys, id, unsealTemplate(keys, row)) });
        } catch (error) {
          if (!(error instanceof Failure)) throw error;
          if (error.reason === 'KEY_MISSING' && (await isKeyKnown(client, row.key_id))) throw error;
          const reason = error.reason === 'KEY_MISSING' ? 'KEY_UNKNOWN' : error.reason;
          damaged.push({ referenceId: id, subjectId, reason });
        }
      }
      await client.query(
        `UPDATE reference r SET key_id = s.key_id, template = s.template
         FROM unnest($1::uuid[], $2::text[], $3::bytea[]) AS s(reference_id, key_id, template)
         WHERE r.reference_id = s.reference_id`,
        [again.map(({ id }) => id), again.map(({ sealed }) => sealed.keyId), again.map(({ sealed }) => sealed.bytes)],
      );
      return { last: rows.at(-1)?.reference_id, count: again.length, damaged };
    });
  }
}
