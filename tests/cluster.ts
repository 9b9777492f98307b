/** A real PostgreSQL for tests: one cluster per test file, a fresh database per test. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { startEmbeddedCluster } from '../src/store/embedded-cluster.ts';

export interface TestCluster {
  /** Creates an empty database. @returns its URL */
  createDatabase(): Promise<string>;
  stop(): Promise<void>;
}

/** A temporary directory that the database's user can enter. */
export function temporaryDirectory(): string {
  return mkdtempSync(join(tmpdir(), 'ridgewatch-test-'));
}

export async function startTestCluster(): Promise<TestCluster> {
  const directory = temporaryDirectory();
  const cluster = await startEmbeddedCluster(directory, () => undefined);
  let count = 0;
  return {
    createDatabase: async () => {
      const name = `test_${++count}`;
      const client = new pg.Client({ connectionString: cluster.url });
      await client.connect();
      await client.query(`CREATE DATABASE ${name}`);
      await client.end();
      return cluster.url.replace(/\/postgres$/, `/${name}`);
    },
    stop: async () => {
      await cluster.stop();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
