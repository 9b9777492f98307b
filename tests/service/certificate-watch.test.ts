/** Certificates, authorities and revocation lists that are replaced while calls run; over real sockets. */
import { readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:tls';
import { ChannelCredentials, type ServiceError } from '@grpc/grpc-js';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { ApiServer } from '../../src/api/server.ts';
import {
  IdentificationClient,
  IdentifyStreamRequest,
  type IdentificationServer,
} from '../../src/contract/generated/ridgewatch/v1/identification.ts';
import { OperationsClient, type GetStatusResponse } from '../../src/contract/generated/ridgewatch/v1/operations.ts';
import { createLogger } from '../../src/observability/logging.ts';
import { ServerCertificates } from '../../src/security/server-certificates.ts';
import type { RefusedPeer } from '../../src/security/tls-terminator.ts';
import { CertificateWatch } from '../../src/service/certificate-watch.ts';
import { createApiServer } from '../api/api-server.ts';
import { Authority, DAY_MS, type Issued } from '../security/authority.ts';
import { CertificateFolder } from '../security/certificate-folder.ts';

/** A revoked client's calls end within this time of the new list, in milliseconds. */
const PROMPT_MS = 1000;
const LOCAL = { 'grpc.use_local_subchannel_pool': 1 };

let [own, first, second]: Authority[] = [];
let service: Issued;
const pem = (...authorities: Authority[]) => authorities.map(({ cert }) => `${cert}\n`).join('');
const forService = () => own.issue('service', { names: [{ type: 'dns', value: 'localhost' }] });

beforeAll(async () => {
  [own, first, second] = await Promise.all(['own', 'first', 'second'].map((name) => Authority.create(name)));
  service = await forService();
});

let folder: CertificateFolder;
let certificates: ServerCertificates;
let watch: CertificateWatch;
let server: ApiServer;
let port: number;
let log: Record<string, unknown>[];
let counts: string[];
let refused: RefusedPeer[];
let time: number;
const ends: (() => void)[] = [];

beforeEach(() => {
  folder = new CertificateFolder();
  time = Date.now();
});
afterEach(async () => {
  for (const end of ends.splice(0)) end();
  watch.stop();
  await server.stop(0);
});

const FILES = { 'service.pem': () => service.cert, 'service.key': () => service.key, 'ca.pem': () => pem(first) };

/** @param crl - undefined: none is configured */
async function start(crl?: string): Promise<void> {
  for (const [name, content] of Object.entries(FILES)) if (!isLinked) folder.put(name, content());
  if (crl !== undefined) folder.put('crl.pem', crl);
  const [lines, counted, told]: [Record<string, unknown>[], string[], RefusedPeer[]] = [[], [], []];
  [log, counts, refused] = [lines, counted, told];
  certificates = new ServerCertificates({
    cert: folder.of('service.pem'),
    key: folder.of('service.key'),
    clientCa: folder.of('ca.pem'),
    clientCrl: crl === undefined ? undefined : folder.of('crl.pem'),
  });
  const identification = {
    identifyStream: (call) => {
      call.on('data', () => call.write({ requestId: 'x', outcome: undefined }));
      call.on('end', () => call.end());
    },
  } as IdentificationServer;
  ({ server } = createApiServer({ identification }, { handshakeRefused: (peer) => void told.push(peer) }));
  port = await server.listen('127.0.0.1', 0, certificates);
  watch = new CertificateWatch(certificates, {
    log: createLogger('trace', { write: (line: string) => void lines.push(JSON.parse(line) as (typeof lines)[0]) }),
    count: (outcome) => void counted.push(outcome),
    now: () => time,
  });
  watch.start();
}
let isLinked = false;

function channel({ cert, key }: Issued): ChannelCredentials {
  return ChannelCredentials.createSsl(Buffer.from(own.cert), Buffer.from(key), Buffer.from(cert));
}

/** Calls once, on a connection of its own. */
async function ask(issued: Issued): Promise<string> {
  const client = new OperationsClient(`localhost:${port}`, channel(issued), LOCAL);
  try {
    return (await status(client)).detail;
  } catch (error) {
    return `refused ${(error as ServiceError).code}`;
  } finally {
    client.close();
  }
}

const status = (client: OperationsClient) =>
  new Promise<GetStatusResponse>((resolve, reject) =>
    client.getStatus({}, (error, answer) => (error === null ? resolve(answer) : reject(error))),
  );

/** A stream that was answered once. */
async function stream(issued: Issued) {
  const client = new IdentificationClient(`localhost:${port}`, channel(issued), LOCAL);
  ends.push(() => client.close());
  const call = client.identifyStream();
  const outcome: { endedAt: number | undefined } = { endedAt: undefined };
  const ended = new Promise<void>((resolve) =>
    call.on('error', () => {
      outcome.endedAt = performance.now();
      resolve();
    }),
  );
  const turn = () =>
    new Promise<void>((resolve) => {
      call.once('data', () => resolve());
      call.write(IdentifyStreamRequest.create({}));
    });
  await turn();
  return { turn, ended, outcome };
}

/** Fingerprint of the certificate that a new connection gets. */
function shownNow(): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', servername: 'localhost', ca: own.cert, ALPNProtocols: ['h2'] });
    socket.on('secureConnect', () => {
      resolve(socket.getPeerCertificate().fingerprint256);
      socket.destroy();
    });
    socket.on('error', reject);
  });
}

const messages = (level: string) => log.filter((line) => line.level === level).map(({ msg }) => msg);
const inForce = () => messages('info').filter((msg) => msg === 'other certificates are in force').length;

describe('a certificate of the service', () => {
  it('is replaced under load without a failed call', async () => {
    await start();
    const client = await first.issue('client');
    let isOver = false;
    let calls = 0;
    const failures: string[] = [];
    const call = async (reuse?: OperationsClient) => {
      while (!isOver) {
        const answer = reuse === undefined ? await ask(client) : (await status(reuse)).detail;
        calls++;
        if (answer !== 'served') failures.push(answer);
      }
    };
    const kept = new OperationsClient(`localhost:${port}`, channel(client), LOCAL);
    ends.push(() => kept.close());
    const load = [call(kept), call(kept), call(), call()];
    for (let round = 1; round <= 3; round++) {
      const next = await forService();
      folder.put('service.pem', next.cert);
      folder.put('service.key', next.key);
      await expect.poll(shownNow, { timeout: 5000 }).toBe(next.certificate.fingerprint256);
      expect(await ask(client)).toBe('served');
    }
    isOver = true;
    await Promise.all(load);
    expect(failures).toEqual([]);
    expect(calls).toBeGreaterThan(50);
    expect(counts).not.toContain('failed');
  });

  it('is replaced by switching the link that leads to it', async () => {
    isLinked = true;
    folder.switchTo({ 'service.pem': service.cert, 'service.key': service.key, 'ca.pem': pem(first) });
    await start();
    isLinked = false;
    const next = await forService();
    folder.switchTo({ 'service.pem': next.cert, 'service.key': next.key, 'ca.pem': pem(first) });
    await expect.poll(shownNow, { timeout: 5000 }).toBe(next.certificate.fingerprint256);
    expect(counts).toEqual(['replaced']);
  });

  it.each<[string, () => Promise<string>]>([
    ['is cut off', () => Promise.resolve(service.cert.slice(0, -40))],
    ['is empty', () => Promise.resolve('')],
    ['belongs to another key', async () => (await forService()).cert],
    [
      'has expired',
      async () => {
        const late = { notBefore: new Date(Date.now() - 2 * DAY_MS), notAfter: new Date(Date.now() - DAY_MS) };
        const { cert, key } = await own.issue('late', late);
        folder.put('service.key', key);
        return cert;
      },
    ],
  ])('that %s stays away: the one before stays in force, with one line in the log', async (_, make) => {
    await start();
    folder.put('service.pem', await make());
    await expect.poll(() => counts, { timeout: 5000 }).toEqual(['failed']);
    expect(await shownNow()).toBe(service.certificate.fingerprint256);
    expect(log.filter(({ level }) => level === 'error')).toMatchObject([{ reason: 'TLS_INVALID' }]);
    // Asked again, it is read again.
    await watch.reload();
    expect(counts).toEqual(['failed', 'failed']);
    const next = await forService();
    folder.put('service.pem', next.cert);
    folder.put('service.key', next.key);
    await expect.poll(shownNow, { timeout: 5000 }).toBe(next.certificate.fingerprint256);
    expect(counts.at(-1)).toBe('replaced');
  });

  it('is not touched by files that have the same content again', async () => {
    await start();
    folder.put('service.pem', service.cert);
    await watch.reload();
    expect(counts).toEqual([]);
  });
});

describe('authorities of clients', () => {
  it('are changed from one to another over a file with both', async () => {
    await start();
    const [before, after] = [await first.issue('before'), await second.issue('after')];
    const old = await stream(before);
    expect(await ask(after)).toBe('refused 14');
    folder.put('ca.pem', pem(first, second));
    await expect.poll(() => ask(after), { timeout: 5000 }).toBe('served');
    const fresh = await stream(after);
    expect(await ask(before)).toBe('served');
    await old.turn();
    const removedAt = performance.now();
    folder.put('ca.pem', pem(second));
    await old.ended;
    expect((old.outcome.endedAt ?? Infinity) - removedAt).toBeLessThan(PROMPT_MS);
    expect(refused.at(-1)).toMatchObject({ reason: 'AUTHORITY_REMOVED', wasAccepted: true, address: '127.0.0.1' });
    expect(await ask(before)).toBe('refused 14');
    await fresh.turn();
    expect(fresh.outcome.endedAt).toBeUndefined();
  });

  it('may be renewed with the same key: their clients stay', async () => {
    await start();
    const open = await stream(await first.issue('client'));
    folder.put('ca.pem', pem(await first.renew()));
    await expect.poll(inForce, { timeout: 5000 }).toBe(1);
    await open.turn();
  });

  it('are not lost with the end of a file that is still being written', async () => {
    await start();
    folder.put('ca.pem', pem(first, second));
    await expect.poll(inForce, { timeout: 5000 }).toBe(1);
    const open = await stream(await second.issue('client'));
    const whole = readFileSync(folder.of('ca.pem'), 'utf8');
    // In place, as an editor does it: within the second certificate, within its first line, and after a dash.
    for (const length of [whole.length - 100, pem(first).length + 12, pem(first).length + 1]) {
      const failed = counts.length;
      writeFileSync(folder.of('ca.pem'), whole.slice(0, length));
      await expect.poll(() => counts.length, { timeout: 5000 }).toBe(failed + 1);
      expect(counts.at(-1)).toBe('failed');
    }
    writeFileSync(folder.of('ca.pem'), whole);
    await watch.reload();
    expect(counts.filter((outcome) => outcome === 'replaced')).toHaveLength(1);
    await open.turn();
  });

  it('are replaced although the certificate of the service cannot be used', async () => {
    await start();
    const open = await stream(await first.issue('client'));
    folder.put('service.pem', 'nothing');
    folder.put('ca.pem', pem(second));
    await open.ended;
    expect(counts).toEqual(['failed', 'replaced']);
    expect(await shownNow()).toBe(service.certificate.fingerprint256);
  });
});

describe('a revocation list', () => {
  it('ends the connections of who is on it within a second, and no others', async () => {
    const [kept, revoked] = [await first.issue('kept'), await first.issue('revoked')];
    await start(await first.revoke([]));
    const [open, doomed] = [await stream(kept), await stream(revoked)];
    const list = await first.revoke([revoked]);
    const revokedAt = performance.now();
    folder.put('crl.pem', list);
    await doomed.ended;
    expect((doomed.outcome.endedAt ?? Infinity) - revokedAt).toBeLessThan(PROMPT_MS);
    expect(refused).toMatchObject([{ reason: 'CERTIFICATE_REVOKED', wasAccepted: true, address: '127.0.0.1' }]);
    expect(refused[0]?.certificate?.fingerprint).toBe(
      revoked.certificate.fingerprint256.replaceAll(':', '').toLowerCase(),
    );
    expect(await ask(revoked)).toBe('refused 14');
    await open.turn();
    expect(await ask(kept)).toBe('served');
  });

  it('ends the connections of an authority that is on it', async () => {
    const below = await first.createBelow('below');
    const issued = await below.issue('client');
    const lists = async (...revoked: Authority[]) => (await first.revoke(revoked)) + (await below.revoke([]));
    await start(await lists());
    folder.put('ca.pem', pem(first, below));
    await expect.poll(inForce, { timeout: 5000 }).toBe(1);
    const open = await stream({ ...issued, cert: issued.cert + below.cert });
    folder.put('crl.pem', await lists(below));
    await open.ended;
    expect(refused.at(-1)).toMatchObject({ reason: 'CERTIFICATE_REVOKED' });
  });

  it('ends connections under an authority that is not in the file: whether it is revoked cannot be seen', async () => {
    const below = await first.createBelow('below');
    const issued = await below.issue('client');
    await start();
    const open = await stream({ ...issued, cert: issued.cert + below.cert });
    folder.put('ca.pem', pem(first, second));
    await open.ended;
    expect(refused).toMatchObject([{ reason: 'CHAIN_UNKNOWN', wasAccepted: true }]);
    expect(await ask({ ...issued, cert: issued.cert + below.cert })).toBe('served');
  });

  it('of another signer is not taken', async () => {
    const client = await first.issue('client');
    await start(await first.revoke([]));
    const imposter = await Authority.create('first');
    folder.put('crl.pem', await imposter.revoke([client]));
    await expect.poll(() => counts, { timeout: 5000 }).toEqual(['failed']);
    expect(await ask(client)).toBe('served');
  });

  it('of many thousand certificates is read, and one too large is not', async () => {
    const client = await first.issue('client');
    await start(await first.revoke([]));
    folder.put('crl.pem', `${await first.revoke([])}${'#\n'.repeat(600_000)}`);
    await expect.poll(() => counts, { timeout: 5000 }).toEqual(['failed']);
    const many = Array.from({ length: 4000 }, (_, at) => ({
      certificate: { serialNumber: (0x70000000 + at).toString(16) },
    }));
    folder.put('crl.pem', await first.revoke([...(many as { certificate: Issued['certificate'] }[]), client]));
    await expect.poll(() => counts, { timeout: 10_000 }).toEqual(['failed', 'replaced']);
    expect(await ask(client)).toBe('refused 14');
  });

  it('that has expired lets in no client; a warning precedes it by days, and an error tells of it', async () => {
    const client = await first.issue('client');
    const until = new Date(Date.now() + 20 * DAY_MS);
    await start(await first.revoke([], until));
    const about = () => log.filter(({ what }) => what === 'client_crl').map(({ level }) => level);
    await expect.poll(() => messages('info').length).toBe(0);
    expect(about()).toEqual([]);
    time = until.getTime() - 2.5 * DAY_MS;
    await expect.poll(about).toEqual(['warn']);
    time += DAY_MS / 2;
    // Once a day: noticing a change takes two more looks.
    folder.put('service.pem', 'nothing');
    await expect.poll(() => counts).toEqual(['failed']);
    expect(about()).toEqual(['warn']);
    time = until.getTime() + 1;
    await expect.poll(about).toEqual(['warn', 'error']);
    folder.put('crl.pem', await first.revoke([], new Date(Date.now() - 1000)));
    await expect.poll(() => ask(client), { timeout: 5000 }).toBe('refused 14');
    folder.put('crl.pem', await first.revoke([]));
    await expect.poll(() => ask(client), { timeout: 5000 }).toBe('served');
  });
});

it('a connection ends when its certificate does', async () => {
  const issued = await first.issue('client', { notAfter: new Date(Date.now() + DAY_MS) });
  await start();
  const open = await stream(issued);
  time += DAY_MS + 1000;
  await open.ended;
  expect(refused).toMatchObject([{ reason: 'CERTIFICATE_EXPIRED', wasAccepted: true }]);
});
