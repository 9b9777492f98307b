import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Connections, type Connection } from '../../src/network/connections.ts';
import { descriptorLimit, shareConnections } from '../../src/network/descriptor-limit.ts';

const MOST = 4;
let server: Server;
let connections: Connections;
let admitted: (Connection | undefined)[];
let clients: Socket[];

beforeEach(async () => {
  vi.useFakeTimers({ toFake: ['performance'] });
  connections = new Connections(MOST);
  admitted = [];
  clients = [];
  server = createServer((socket) => void admitted.push(connections.admit(socket))).listen(0, '0.0.0.0');
  await once(server, 'listening');
});
afterEach(async () => {
  vi.useRealTimers();
  for (const client of clients) client.destroy();
  connections.endAll();
  await connections.empty();
  server.close();
});

/** @returns the server's side of the connection; undefined if it was turned away */
async function open(localAddress = '127.0.0.1'): Promise<Connection | undefined> {
  const before = admitted.length;
  const client = connect({ port: (server.address() as AddressInfo).port, host: '127.0.0.1', localAddress });
  client.on('error', () => undefined);
  clients.push(client);
  await expect.poll(() => admitted.length).toBe(before + 1);
  vi.advanceTimersByTime(1);
  return admitted.at(-1);
}

async function fill(addresses: readonly string[]): Promise<Connection[]> {
  const opened: Connection[] = [];
  for (const address of addresses) {
    const connection = await open(address);
    if (connection !== undefined) opened.push(connection);
  }
  return opened;
}

const isOpen = ({ socket }: Connection) => !socket.destroyed;

describe('connections', () => {
  it('make room for a new one: the oldest idle one of the address that holds most is closed', async () => {
    const held = await fill(['127.0.0.2', '127.0.0.1', '127.0.0.1', '127.0.0.1']);
    expect(await open('127.0.0.3')).toBeDefined();
    expect(held.map(isOpen)).toEqual([true, false, true, true]);
    expect(connections.count).toBe(MOST);
  });

  it('whose callers have to act next are evicted after those without a call', async () => {
    const [quiet, idle, ...others] = await fill(Array<string>(MOST).fill('127.0.0.1'));
    for (const connection of others) connection.change(1, 0);
    if (quiet === undefined || idle === undefined) throw new Error('they are open');
    quiet.change(0, 1);
    vi.advanceTimersByTime(60_000);
    (await open())?.change(1, 0);
    expect([isOpen(quiet), isOpen(idle)]).toEqual([true, false]);
    (await open())?.change(1, 0);
    expect(isOpen(quiet)).toBe(false);
    expect(connections.isFull).toBe(true);
    expect(await open()).toBeUndefined();
    expect(others.map(isOpen)).toEqual([true, true]);
  });

  it('are kept while their callers were active recently', async () => {
    const held = await fill(Array<string>(MOST).fill('127.0.0.1'));
    for (const connection of held) connection.change(0, 1);
    expect(connections.isFull).toBe(true);
    expect(await open()).toBeUndefined();
    expect(held.every(isOpen)).toBe(true);
  });

  it('without a call for long are closed, and no others', async () => {
    const [old, waiting, working, young] = await fill(Array<string>(MOST).fill('127.0.0.1'));
    if (!old || !waiting || !working || !young) throw new Error('they are open');
    waiting.change(0, 1);
    working.change(1, 0);
    vi.advanceTimersByTime(60_000);
    young.change(0, 0);
    connections.endIdle(30_000);
    expect([old, waiting, working, young].map(isOpen)).toEqual([false, true, true, true]);
    await expect.poll(() => connections.count).toBe(3);
  });
});

describe('the shares of connections', () => {
  const wanted = { grpc: 10_000, http: 256 };

  it('leave file descriptors for everything else, and some for orchestrators', () => {
    for (let limit = 160; limit < 20_000; limit += 7) {
      const { grpc, http } = shareConnections(wanted, limit);
      expect(grpc + http).toBeLessThanOrEqual(limit - 128);
      expect(Math.min(grpc, http)).toBeGreaterThanOrEqual(8);
    }
  });

  it('are as configured when enough descriptors exist, and a minimum when there are hardly any', () => {
    expect(shareConnections(wanted, Infinity)).toEqual({ ...wanted, cutBy: undefined });
    expect(shareConnections(wanted, 20_000)).toEqual({ ...wanted, cutBy: undefined });
    expect(shareConnections(wanted, 64)).toEqual({ grpc: 8, http: 8, cutBy: 64 });
    expect(descriptorLimit()).toBeGreaterThan(64);
  });
});
