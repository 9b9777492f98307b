/**
 * Separates two database roles: the owner, which changes the schema and may do everything with the store's tables, and
 * the service's, which may do what service-grants.ts lists.
 */
import type pg from 'pg';
import { Failure } from '../failure.ts';
import { excessOf } from './excess-rights.ts';
import { grantRights, STORE_SCHEMA } from './granted-rights.ts';
import { sqlStateOf } from './database-error.ts';
import { SERVICE_GRANTS } from './service-grants.ts';
import { withConnection } from './transaction.ts';

/** The two connections of one store. */
export interface RolePools {
  readonly owner: pg.Pool;
  readonly service: pg.Pool;
  /** What a sentence calls the service's role. */
  readonly called: string;
}

/** Excesses or tables that a sentence names. */
const MAX_NAMED = 4;
const FORBIDDEN = '42501';

const PLACE = `SELECT (SELECT system_identifier FROM pg_control_system())::text AS system, oid::text AS database,
    current_user::text AS "user"
  FROM pg_database WHERE datname = current_database()`;

const NOT_OWNED = `SELECT relname AS name FROM pg_class WHERE relnamespace = ${STORE_SCHEMA} AND relname = ANY($1)
  AND relkind IN ('r', 'p') AND NOT pg_has_role(relowner, 'USAGE') ORDER BY 1`;

interface Place {
  readonly system: string;
  readonly database: string;
  readonly user: string;
}

/**
 * Checks two roles before the owner's changes anything.
 * @param how - see separateRoles
 * @throws Failure DATABASE_ROLES_DIFFER: they reach different databases, or are one role; DATABASE_OWNER_TOO_WEAK: the
 * owner's owns not all tables; DATABASE_ROLE_TOO_POWERFUL: the service's is a superuser or owns something
 */
export async function requireTwoRoles(
  { owner, service, called }: RolePools,
  how: 'require' | 'complete',
): Promise<void> {
  const [ownPlace, servicePlace] = [await placeOf(owner), await placeOf(service)];
  if (ownPlace?.system !== servicePlace?.system || ownPlace?.database !== servicePlace?.database)
    throw rolesDiffer('lead to different databases', 'name one database in both');
  if (ownPlace?.user === servicePlace?.user) throw rolesDiffer('name one user', 'make another role for the service');
  if (how === 'complete') return;
  const owned = (await excessRights(service)).filter((one) => /^(is a superuser|owns)/.test(one));
  if (owned.length > 0) throw tooPowerful(called, owned);
  const { rows } = await withConnection(owner, (client) =>
    client.query<{ name: string }>(NOT_OWNED, [Object.keys(SERVICE_GRANTS)]),
  );
  if (rows.length > 0) throw ownerTooWeak(rows.map(({ name }) => name));
}

async function placeOf(pool: pg.Pool): Promise<Place | undefined> {
  return (await withConnection(pool, (client) => client.query<Place>(PLACE))).rows[0];
}

/**
 * Gives the service's role its rights, after the schema was brought up to date.
 * @param how - `require`: also takes all other rights, and refuses a role that has some left; `complete`: gives what is
 * missing, beside a service that may be of another version
 * @returns what the service's role may do beyond its rights; empty: the roles are separated
 * @throws Failure DATABASE_ROLES_DIFFER, DATABASE_OWNER_TOO_WEAK, DATABASE_ROLE_TOO_POWERFUL
 */
export async function separateRoles(pools: RolePools, how: 'require' | 'complete'): Promise<string[]> {
  const { owner, service, called } = pools;
  const role = await userOf(service);
  let ungranted: string[];
  try {
    ungranted = await withConnection(owner, (client) =>
      grantRights(client, role, how === 'require' ? 'all' : 'missing'),
    );
  } catch (error) {
    if (sqlStateOf(error) !== FORBIDDEN) throw error;
    throw ownerTooWeak([]);
  }
  if (ungranted.length > 0) throw ownerTooWeak(ungranted);
  if ((await schemaOf(owner)) !== (await schemaOf(service)))
    throw rolesDiffer('lead to different schemas of the database', 'give both the same search_path');
  const excess = await excessRights(service);
  if (how === 'require' && excess.length > 0) throw tooPowerful(called, excess);
  return excess;
}

/** What the user of a connection may do beyond what the service needs. */
export function excessRights(pool: pg.Pool): Promise<string[]> {
  return withConnection(pool, excessOf);
}

async function userOf(pool: pg.Pool): Promise<string> {
  const { rows } = await withConnection(pool, (client) =>
    client.query<{ user: string }>('SELECT current_user AS "user"'),
  );
  return rows[0]?.user ?? '';
}

/** The schema in which a connection finds the store. */
async function schemaOf(pool: pg.Pool): Promise<string | undefined> {
  const sql = `SELECT ${STORE_SCHEMA}::text AS schema`;
  return (
    (await withConnection(pool, (client) => client.query<{ schema: string | null }>(sql))).rows[0]?.schema ?? undefined
  );
}

function rolesDiffer(what: string, remedy: string): Failure {
  const sentence = `DATABASE_URL and RIDGEWATCH_DATABASE_OWNER_URL ${what}: ${remedy}.`;
  return new Failure('failed-precondition', 'DATABASE_ROLES_DIFFER', sentence);
}

/** @param tables - that it does not own; empty: they are not known */
function ownerTooWeak(tables: readonly string[]): Failure {
  const named = tables.length === 0 ? '' : ` (${listOf(tables)})`;
  const sentence = `The user of RIDGEWATCH_DATABASE_OWNER_URL does not own all tables of the store${named}: give them to it (REASSIGN OWNED), or name their owner.`;
  return new Failure('failed-precondition', 'DATABASE_OWNER_TOO_WEAK', sentence);
}

function tooPowerful(called: string, excess: readonly string[]): Failure {
  const sentence = `${called} may do more than the service needs: it ${listOf(excess)}. Take this from it, from PUBLIC and from the roles that it is a member of (REVOKE), give what it owns to the owner (REASSIGN OWNED), or make another role.`;
  return new Failure('failed-precondition', 'DATABASE_ROLE_TOO_POWERFUL', sentence);
}

function listOf(names: readonly string[]): string {
  const more = names.length > MAX_NAMED ? `, and ${names.length - MAX_NAMED} more` : '';
  return `${names.slice(0, MAX_NAMED).join(', ')}${more}`;
}
