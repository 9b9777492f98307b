import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import pg from 'pg';
import { afterEach, describe, expect, it } from 'vitest';
import { joinEmbeddedCluster, startEmbeddedCluster, type EmbeddedCluster } from '../../src/store/embedded-cluster.ts';
import { temporaryDirectory } from '../cluster.ts';

const directories: string[] = [];
const clusters: EmbeddedCluster[] = [];

function directory(): string {
  const made = temporaryDirectory();
  directories.push(made);
  return made;
}

async function start(dataDir: string): Promise<EmbeddedCluster> {
  const cluster = await startEmbeddedCluster(dataDir, () => undefined);
  clusters.push(cluster);
  return cluster;
}

async function query(url: string, sql: string): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => undefined);
  await client.connect();
  const { rows } = await client.query(sql);
  await client.end();
  return rows as unknown[];
}

function postmaster(dataDir: string): number {
  return Number(readFileSync(join(dataDir, 'postgres/postmaster.pid'), 'utf8').split('\n')[0]);
}

afterEach(async () => {
  for (const cluster of clusters.splice(0)) await cluster.stop();
  for (const made of directories.splice(0)) rmSync(made, { recursive: true, force: true });
});

describe('the embedded database', () => {
  it('keeps committed data when it is killed', async () => {
    const dataDir = directory();
    const first = await start(dataDir);
    await query(first.url, 'CREATE TABLE kept AS SELECT 42 AS answer');
    process.kill(postmaster(dataDir), 'SIGKILL');
    await first.stop();
    const second = await start(dataDir);
    expect(await query(second.url, 'SELECT answer FROM kept')).toEqual([{ answer: 42 }]);
  });

  it('restarts at the same address when it is killed, and can be stopped even then', async () => {
    const dataDir = directory();
    const cluster = await start(dataDir);
    await query(cluster.url, 'CREATE TABLE kept AS SELECT 42 AS answer');
    const killed = postmaster(dataDir);
    process.kill(killed, 'SIGKILL');
    const answered = async () => {
      for (;;) {
        try {
          return await query(cluster.url, 'SELECT answer FROM kept');
        } catch {
          // It is not there yet.
        }
      }
    };
    expect(await answered()).toEqual([{ answer: 42 }]);
    expect(postmaster(dataDir)).not.toBe(killed);
    process.kill(postmaster(dataDir), 'SIGKILL');
    await cluster.stop();
    await expect(query(cluster.url, 'SELECT 1')).rejects.toThrow();
  });

  it('starts over when its creation was interrupted', async () => {
    const dataDir = directory();
    mkdirSync(join(dataDir, 'postgres.new-0a1b2c3d/base'), { recursive: true });
    mkdirSync(join(dataDir, 'postgres'));
    const { url } = await start(dataDir);
    expect(await query(url, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
    expect(existsSync(join(dataDir, 'postgres.new-0a1b2c3d'))).toBe(false);
  });

  it('is not started twice in one directory, and the first instance is not affected', async () => {
    const dataDir = directory();
    const { url } = await start(dataDir);
    await expect(startEmbeddedCluster(dataDir, () => undefined)).rejects.toMatchObject({
      reason: 'DATA_DIRECTORY_IN_USE',
    });
    expect(await query(url, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
  });

  it('fails with one sentence when its directory is not writable', async () => {
    const file = join(directory(), 'file');
    writeFileSync(file, '');
    await expect(startEmbeddedCluster(join(file, 'data'), () => undefined)).rejects.toMatchObject({
      reason: 'DATA_DIRECTORY_UNWRITABLE',
    });
  });

  it.skipIf(process.platform !== 'linux').each(['/proc', '/sys'])(
    'fails with one sentence in %s, although root may write there',
    async (root) => {
      const refusal = { reason: 'DATA_DIRECTORY_UNWRITABLE' };
      await expect(startEmbeddedCluster(root, () => undefined)).rejects.toMatchObject(refusal);
      await expect(joinEmbeddedCluster(root, () => undefined, {}, 'begin')).rejects.toMatchObject(refusal);
    },
  );

  it.skipIf(process.getuid?.() !== 0)(
    'is reachable for its own user in a directory that only root may traverse (needs root)',
    async () => {
      const closed = directory();
      chmodSync(closed, 0o700);
      const dataDir = join(closed, 'data');
      const first = await start(dataDir);
      await query(first.url, 'CREATE TABLE kept AS SELECT 42 AS answer');
      await first.stop();
      const second = await start(dataDir);
      expect(await query(second.url, 'SELECT answer FROM kept')).toEqual([{ answer: 42 }]);
      directories.push(dirname(second.directory));
    },
  );

  it('rejects a wrong password', async () => {
    const dataDir = directory();
    const { url } = await start(dataDir);
    const wrong = new URL(url);
    wrong.password = 'guess';
    await expect(query(wrong.href, 'SELECT 1')).rejects.toThrow('password');
  });
});
