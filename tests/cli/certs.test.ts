/** `ridgewatch certs dev`: what it writes is used by a service and its clients, and OpenSSL accepts it. */
import { spawnSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { ServiceClient } from '../../src/cli/client.ts';
import { readConfiguration } from '../../src/configuration.ts';
import { createServerCredentials } from '../../src/security/server-credentials.ts';
import { createApiServer } from '../api/api-server.ts';
import { temporaryDirectory } from '../cluster.ts';
import { ridgewatch, type CommandRun } from './command.ts';

interface Made {
  readonly settings: Record<string, string>;
  readonly clients: readonly { readonly client: string; readonly certificate: string; readonly options: string[] }[];
}

const certs = (...args: string[]) => ridgewatch(['certs', 'dev', ...args]);
const hasOpenssl = spawnSync('openssl', ['version']).status === 0;

describe('certificates for trying', () => {
  const folder = join(temporaryDirectory(), "a new folder's");
  let run: CommandRun;
  let made: Made;
  beforeAll(async () => {
    const args = ['--host', 'gate.example', '--host', '192.0.2.7', '--host', '2001:db8::7'];
    run = await certs(folder, ...args, '--client', 'gate-1', '--client', 'gate-2', '--days', '2', '--json');
    made = JSON.parse(run.stdout) as Made;
  });

  it('let a service and the clients talk to each other, and no caller without them', async () => {
    expect(run).toMatchObject({ code: 0, stderr: '' });
    const { server } = createApiServer();
    const credentials = createServerCredentials(readConfiguration(made.settings));
    const port = await server.listen('127.0.0.1', 0, credentials);
    const ask = async (options: readonly string[]) => {
      const [, tlsCa, , tlsCert, , tlsKey] = options;
      const client = new ServiceClient({
        address: `localhost:${port}`,
        timeoutSeconds: 20,
        tlsCa,
        tlsCert,
        tlsKey,
        token: undefined,
      });
      try {
        return (await client.status()).detail;
      } finally {
        client.close();
      }
    };
    expect(made.clients.map(({ client }) => client)).toEqual(['gate-1', 'gate-2']);
    for (const { options } of made.clients) expect(await ask(options)).toBe('served');
    await expect(ask(made.clients[0]?.options.slice(0, 2) ?? [])).rejects.toThrow();
    await server.stop(0);
  });

  it('are for their names, usage and days, and for their owner only', () => {
    const [server, client] = ['server.pem', 'client-gate-1.pem'].map(
      (name) => new X509Certificate(readFileSync(join(folder, name))),
    );
    for (const host of ['localhost', 'gate.example']) expect(server?.checkHost(host)).toBe(host);
    for (const address of ['127.0.0.1', '::1', '192.0.2.7', '2001:db8::7'])
      expect(server?.checkIP(address)).toBe(address);
    expect(server?.checkHost('other.example')).toBeUndefined();
    expect(client?.subject).toBe('CN=gate-1');
    const days = ((server?.validToDate.getTime() ?? 0) - Date.now()) / 86_400_000;
    expect(days).toBeGreaterThan(1.9);
    expect(days).toBeLessThanOrEqual(2);
    const files = readdirSync(folder).map((name) => join(folder, name));
    expect(files).toHaveLength(8);
    for (const file of files) expect([file, statSync(file).mode & 0o777]).toEqual([file, 0o600]);
  });

  it.skipIf(!hasOpenssl)(`are accepted by OpenSSL${hasOpenssl ? '' : ' (skipped: openssl is not on the path)'}`, () => {
    const verify = (purpose: string, name: string) =>
      spawnSync('openssl', ['verify', '-x509_strict', '-CAfile', 'ca.pem', '-purpose', purpose, name], { cwd: folder })
        .status;
    expect([verify('sslserver', 'server.pem'), verify('sslclient', 'client-gate-2.pem')]).toEqual([0, 0]);
    expect([verify('sslclient', 'server.pem'), verify('sslserver', 'client-gate-2.pem')]).not.toContain(0);
  });

  it('are not overwritten without --force, and none is written beside one that exists', async () => {
    const place = temporaryDirectory();
    writeFileSync(join(place, 'client-gate-1.key'), 'mine');
    const refused = await certs(place, '--client', 'gate-1');
    expect(refused).toMatchObject({ code: 2, stdout: '' });
    expect(refused.stderr).toContain('client-gate-1.key already exists');
    expect(readdirSync(place)).toEqual(['client-gate-1.key']);
    expect(await certs(place, '--client', 'gate-1', '--force')).toMatchObject({ code: 0 });
    expect(readFileSync(join(place, 'client-gate-1.key'), 'utf8')).toContain('PRIVATE KEY');
  });

  it('say what they are for, and how to go on', async () => {
    const place = temporaryDirectory();
    const { stdout } = await certs(place);
    expect(stdout).toMatch(/^FOR TRYING ONLY/);
    expect(stdout).toContain(`export RIDGEWATCH_TLS_CERT=${join(place, 'server.pem')}\n`);
    expect(stdout).toMatch(/ {2}ridgewatch client add client .*--certificate \S+client-client\.pem .*--tls-key/);
  });

  it.each([
    ['--host', '*.example'],
    ['--host', 'gate example'],
    ['--host', 'fe80::1%eth0'],
    ['--client', '../gate'],
    ['--client', '-x'],
    ['--client', ''],
    ['--days', '366'],
  ])('are refused for %s %j', async (option, value) => {
    const place = temporaryDirectory();
    expect(await certs(place, `${option}=${value}`)).toMatchObject({ code: 2, stdout: '' });
    expect(readdirSync(place)).toEqual([]);
  });
});
