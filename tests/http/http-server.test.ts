import { expect, it } from 'vitest';
import { HttpServer } from '../../src/http/http-server.ts';
import { servicePages } from '../../src/observability/pages.ts';
import { Readiness } from '../../src/observability/readiness.ts';

const metrics = () => Promise.resolve({ contentType: 'text/plain', body: 'x 1\n' });
const serverOf = (readiness: Readiness) =>
  new HttpServer(
    { pages: servicePages({ readiness: () => readiness.state, metrics }), json: new Map() },
    () => undefined,
  );

it('reports readiness through the life of the service, and never returns from stopping', async () => {
  const readiness = new Readiness();
  const server = serverOf(readiness);
  const at = `http://127.0.0.1:${await server.start('127.0.0.1', 0)}`;
  const ready = async () => (await fetch(`${at}/readyz`)).status;
  readiness.starting('Loading.');
  expect(await (await fetch(`${at}/readyz`)).json()).toEqual({ readiness: 'starting', detail: 'Loading.' });
  expect(await ready()).toBe(503);
  readiness.ready();
  expect(await ready()).toBe(200);
  readiness.store('The store has no space left.');
  expect(await (await fetch(`${at}/readyz`)).json()).toEqual({
    readiness: 'ready',
    detail: 'Searching, not writing: The store has no space left.',
    writing: false,
  });
  // Unready would take it out of service, which would help no checkpoint.
  expect(await ready()).toBe(200);
  readiness.store('');
  expect(await (await fetch(`${at}/readyz`)).json()).toEqual({ readiness: 'ready', detail: '' });
  readiness.stopping();
  readiness.ready();
  readiness.starting('again');
  expect(await ready()).toBe(503);
  expect((await fetch(`${at}/livez`, { method: 'HEAD' })).status).toBe(200);
  await server.stop();
  await server.stop();
});

it('fails with one sentence when its port is taken', async () => {
  const first = serverOf(new Readiness());
  const port = await first.start('127.0.0.1', 0);
  const second = serverOf(new Readiness());
  await expect(second.start('127.0.0.1', port)).rejects.toMatchObject({
    reason: 'PORT_IN_USE',
    message: expect.stringContaining(String(port)) as string,
  });
  await first.stop();
});
