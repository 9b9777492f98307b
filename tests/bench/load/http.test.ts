import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, it } from 'vitest';
import { searchHttp } from '../../../bench/load/http.ts';
import { demoPerson, demoSamples } from '../../../src/service/demo-gallery.ts';

it('declares its searches over HTTP as JSON, without which the service refuses them', async () => {
  const seen: IncomingHttpHeaders[] = [];
  const server = createServer((request, response) => {
    seen.push(request.headers);
    request.resume().on('end', () => response.end('{}'));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  try {
    const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const { failed } = await searchHttp(address, demoSamples(demoPerson(0), 1), 1, { authorization: 'Bearer x' });
    expect(failed).toBe(0);
    expect(seen.length).toBeGreaterThan(0);
    for (const headers of seen)
      expect(headers).toMatchObject({ 'content-type': 'application/json', authorization: 'Bearer x' });
  } finally {
    server.closeAllConnections();
    server.close();
  }
});
