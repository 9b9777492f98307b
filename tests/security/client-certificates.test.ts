/** Which clients are let in, what is known of them, and what is reported of those that are not; over real sockets. */
import { once } from 'node:events';
import { connect, type ConnectionOptions, type TLSSocket } from 'node:tls';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { ApiServer } from '../../src/api/server.ts';
import { ServerCertificates } from '../../src/security/server-certificates.ts';
import type { RefusedPeer } from '../../src/security/tls-terminator.ts';
import { createApiServer } from '../api/api-server.ts';
import { Authority, DAY_MS, ExtendedKeyUsage, type Issued } from './authority.ts';
import { CertificateFolder } from './certificate-folder.ts';

const fingerprintOf = ({ certificate }: { certificate: Issued['certificate'] }) =>
  certificate.fingerprint256.replaceAll(':', '').toLowerCase();

let [authority, stranger, service, client]: [Authority?, Authority?, Issued?, Issued?] = [];
const known = () => authority as Authority;
beforeAll(async () => {
  authority = await Authority.create('authority');
  stranger = await Authority.create('authority');
  service = await authority.issue('service', { names: [{ type: 'dns', value: 'localhost' }] });
  client = await authority.issue('client');
});

let folder: CertificateFolder;
let server: ApiServer;
let port: number;
let refusals: string[];
let peers: RefusedPeer[];
const sockets: TLSSocket[] = [];

beforeEach(() => {
  folder = new CertificateFolder();
  folder.put('service.pem', service?.cert ?? '');
  folder.put('service.key', service?.key ?? '');
  folder.put('ca.pem', known().cert);
});
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await server.stop(0);
});

async function start(crl?: string): Promise<ServerCertificates> {
  if (crl !== undefined) folder.put('crl.pem', crl);
  const certificates = new ServerCertificates({
    cert: folder.of('service.pem'),
    key: folder.of('service.key'),
    clientCa: folder.of('ca.pem'),
    clientCrl: crl === undefined ? undefined : folder.of('crl.pem'),
  });
  const told: RefusedPeer[] = [];
  ({ server, refusals } = createApiServer({}, { handshakeRefused: (peer) => void told.push(peer) }));
  peers = told;
  port = await server.listen('127.0.0.1', 0, certificates);
  return certificates;
}

function open(issued: Pick<Issued, 'cert' | 'key'> | undefined, options: ConnectionOptions = {}): TLSSocket {
  const socket = connect({
    port,
    host: '127.0.0.1',
    servername: 'localhost',
    ALPNProtocols: ['h2'],
    ca: known().cert,
    ...(issued && { cert: issued.cert, key: issued.key }),
    ...options,
  });
  sockets.push(socket);
  socket.on('error', () => undefined);
  socket.resume();
  return socket;
}

/** A connection that the service keeps: it has sent its settings. */
async function accepted(issued: Pick<Issued, 'cert' | 'key'>, options: ConnectionOptions = {}): Promise<TLSSocket> {
  const socket = open(issued, options);
  await once(socket, 'secureConnect');
  socket.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0');
  await once(socket, 'data');
  return socket;
}

const peerOf = ({ localAddress, localPort }: TLSSocket) => ({ remoteAddress: localAddress, remotePort: localPort });

/** Resolves when the connection has ended, with or without an error. */
const ended = (socket: TLSSocket) => new Promise<void>((resolve) => socket.once('close', () => resolve()));

async function refusalOf(issued: Pick<Issued, 'cert' | 'key'> | undefined): Promise<RefusedPeer | undefined> {
  const before = peers.length;
  await ended(open(issued));
  await expect.poll(() => peers.length).toBe(before + 1);
  return peers.at(-1);
}

describe('a client that is not let in', () => {
  const past = { notBefore: new Date(Date.now() - 2 * DAY_MS), notAfter: new Date(Date.now() - DAY_MS) };
  const future = { notBefore: new Date(Date.now() + DAY_MS), notAfter: new Date(Date.now() + 2 * DAY_MS) };
  it.each<[string, () => Promise<Issued>]>([
    ['whose certificate has expired', () => known().issue('late', past)],
    ['whose certificate is not valid yet', () => known().issue('early', future)],
    ['of another authority of the same name', () => (stranger as Authority).issue('unknown')],
    [
      'whose certificate is its own authority',
      async () => {
        const own = await Authority.create('own');
        return own.issue('own');
      },
    ],
    ['whose certificate is for a server', () => known().issue('server', { usage: ExtendedKeyUsage.serverAuth })],
  ])('%s is told of with what it showed', async (_, issue) => {
    const issued = await issue();
    await start();
    expect(await refusalOf(issued)).toEqual({
      reason: 'TLS_CERTIFICATE_REFUSED',
      address: '127.0.0.1',
      certificate: {
        fingerprint: fingerprintOf(issued),
        names: [],
        commonName: expect.any(String) as string,
        notAfter: issued.certificate.validToDate,
      },
      wasAccepted: false,
      unsaid: 0,
    });
    expect(refusals).toEqual(['TLS_CERTIFICATE_REFUSED']);
    await accepted(client as Issued);
  });

  it('without a certificate is told of by its address', async () => {
    await start();
    expect(await refusalOf(undefined)).toMatchObject({
      reason: 'TLS_NO_CERTIFICATE',
      address: '127.0.0.1',
      certificate: undefined,
    });
  });

  it('shows at most eight names of at most 256 characters', async () => {
    await start();
    const names = [
      { type: 'url' as const, value: `spiffe://x/${'y'.repeat(300)}` },
      ...Array.from({ length: 20 }, (_, at) => ({ type: 'dns' as const, value: `n${at}` })),
    ];
    const issued = await (stranger as Authority).issue('z'.repeat(64), { names });
    expect((await refusalOf(issued))?.certificate).toMatchObject({
      commonName: 'z'.repeat(64),
      names: Array.from({ length: 8 }, (_, at) => `DNS:n${at}`),
    });
  });

  it('is counted each time, and told of a few times only', async () => {
    await start();
    const issued = await (stranger as Authority).issue('flood');
    await Promise.all(Array.from({ length: 60 }, () => ended(open(issued))));
    await expect.poll(() => refusals.length).toBe(60);
    expect(peers).toHaveLength(20);
  });
});

describe('a client that is let in', () => {
  it('is known by its certificate, its names and its authorities', async () => {
    const below = await known().createBelow('below');
    const names = [
      { type: 'url' as const, value: 'spiffe://border.example/gate/1' },
      { type: 'dns' as const, value: 'gate-1.example, DNS:admin.example' },
    ];
    const issued = await below.issue('gate-1', { names, usage: ExtendedKeyUsage.clientAuth });
    folder.put('ca.pem', known().cert + '\n' + below.cert);
    await start();
    const socket = await accepted(issued);
    expect(server.certificateOf(peerOf(socket))).toEqual({
      fingerprint: fingerprintOf(issued),
      issuers: [fingerprintOf(below), fingerprintOf(known())],
      names: ['URI:spiffe://border.example/gate/1', 'DNS:gate-1.example, DNS:admin.example'],
      commonName: 'gate-1',
      organisation: undefined,
      notAfter: issued.certificate.validToDate,
    });
    socket.destroy();
    await expect.poll(() => server.certificateOf(peerOf(socket))).toBeUndefined();
  });

  it('does not choose its authorities by what it sends', async () => {
    const below = await known().createBelow('below');
    const [twin, issued] = [await Authority.create('authority'), await below.issue('client')];
    await start();
    const socket = await accepted({ cert: issued.cert + below.cert + twin.cert, key: issued.key });
    expect(server.certificateOf(peerOf(socket))).toMatchObject({
      fingerprint: fingerprintOf(issued),
      issuers: [],
    });
  });

  it.each(['TLSv1.2', 'TLSv1.3'] as const)(
    'is verified anew at each connection: no session resumes, %s',
    async (version) => {
      await start();
      let session: Buffer | undefined;
      for (let i = 0; i < 3; i++) {
        const socket = open(client, { session, minVersion: version, maxVersion: version });
        socket.on('session', (made: Buffer) => (session = made));
        await once(socket, 'secureConnect');
        socket.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0');
        await once(socket, 'data');
        expect(socket.isSessionReused()).toBe(false);
        socket.destroy();
      }
      expect(refusals).toEqual([]);
    },
  );
});

describe('revocation lists', () => {
  it('keep out who is on them, and no other client', async () => {
    const revoked = await known().issue('revoked');
    await start(await known().revoke([revoked]));
    expect(await refusalOf(revoked)).toMatchObject({
      reason: 'TLS_CERTIFICATE_REFUSED',
      certificate: { fingerprint: fingerprintOf(revoked) },
    });
    await accepted(client as Issued);
  });

  it('are all read, of several authorities in one file', async () => {
    const other = await Authority.create('other');
    folder.put('ca.pem', known().cert + other.cert);
    const revoked = [await known().issue('x'), await other.issue('x')] as const;
    await start((await known().revoke([revoked[0]])) + '\n' + (await other.revoke([revoked[1]])));
    for (const one of revoked) expect(await refusalOf(one)).toMatchObject({ reason: 'TLS_CERTIFICATE_REFUSED' });
    await accepted(client as Issued);
    await accepted(await other.issue('y'));
  });

  it('let in no client after they have expired, or where one is missing', async () => {
    await start(await known().revoke([], new Date(Date.now() - 1000)));
    expect(await refusalOf(client)).toMatchObject({ reason: 'TLS_CERTIFICATE_REFUSED' });
    await server.stop(0);
    const other = await Authority.create('other');
    folder.put('ca.pem', known().cert + other.cert);
    await start(await other.revoke([]));
    expect(await refusalOf(client)).toMatchObject({ reason: 'TLS_CERTIFICATE_REFUSED' });
    await accepted(await other.issue('x'));
  });

  it('also concern authorities between a client and the one that is trusted', async () => {
    const below = await known().createBelow('below');
    const issued = await below.issue('gate');
    const presented = { cert: issued.cert + below.cert, key: issued.key };
    await start((await known().revoke([])) + '\n' + (await below.revoke([])));
    await accepted(presented);
    await server.stop(0);
    await start((await known().revoke([below])) + '\n' + (await below.revoke([])));
    expect(await refusalOf(presented)).toMatchObject({ reason: 'TLS_CERTIFICATE_REFUSED' });
  });

  it('are refused at a start unless their authority has signed them', async () => {
    const certificates = await start(await known().revoke([]));
    await expect(certificates.requireSignedLists()).resolves.toBeUndefined();
    await server.stop(0);
    const forged = await start(await (stranger as Authority).revoke([]));
    await expect(forged.requireSignedLists()).rejects.toMatchObject({ reason: 'TLS_INVALID' });
  });
});
