import type { LookupAddress } from 'node:dns';
import { describe, expect, it } from 'vitest';
import { publicLookup, readDestination, requirePublic } from '../../src/webhooks/destination.ts';
import { pauseAfter } from '../../src/webhooks/pauses.ts';

const PUBLIC = ['8.8.8.8', '100.63.255.255', '100.128.0.1', '172.32.0.1', '2606:4700::1111', '2a00::1'];
const INNER = [
  ...[
    '0.0.0.0',
    '10.1.2.3',
    '100.64.0.1',
    '127.0.0.1',
    '169.254.169.254',
    '172.31.0.1',
    '192.168.1.1',
    '255.255.255.255',
  ],
  ...[
    '::',
    '::1',
    'fe80::1',
    'fd00::1',
    'ff02::1',
    '::ffff:8.8.8.8',
    '64:ff9b::808:808',
    '2002:a00:1::',
    '2001:db8::1',
  ],
];
const refusal = { reason: 'WEBHOOK_URL_REFUSED', kind: 'invalid-argument' };

describe('the address of a receiver', () => {
  it('is https, without name, password and fragment, and not too long', () => {
    expect(readDestination('https://agency.example:8443/hits?a=b').port).toBe('8443');
    const long = `https://agency.example/${'x'.repeat(2000)}`;
    for (const text of ['', 'agency.example', 'http://agency.example/', 'file:///etc/passwd', long])
      expect(() => readDestination(text)).toThrow(expect.objectContaining(refusal));
    for (const text of ['https://u@agency.example/', 'https://:p@agency.example/', 'https://agency.example/#x'])
      expect(() => readDestination(text)).toThrow(expect.objectContaining(refusal));
  });

  it('is no address of a private network, however it is written', () => {
    const urlOf = (address: string) => readDestination(`https://${address.includes(':') ? `[${address}]` : address}/`);
    for (const address of PUBLIC) expect(() => requirePublic(urlOf(address))).not.toThrow();
    for (const address of [...INNER, '2130706433', '0x7f.1'])
      expect(() => requirePublic(urlOf(address)), address).toThrow(expect.objectContaining(refusal));
  });
});

describe('the lookup of a receiver', () => {
  const found = (...addresses: string[]) => {
    const list: LookupAddress[] = addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }));
    return new Promise<unknown>((resolve) => {
      publicLookup((_, use) => use(null, list))('agency.example', { all: true }, (error, all) => resolve(error ?? all));
    });
  };

  it('gives public addresses, and none where one of them is not', async () => {
    expect(await found(...PUBLIC)).toHaveLength(PUBLIC.length);
    for (const address of INNER) expect(await found('8.8.8.8', address), address).toMatchObject(refusal);
    expect(await found()).toMatchObject(refusal);
  });
});

it('pauses grow from seconds to an hour, and differ', () => {
  expect([pauseAfter(1, 0), pauseAfter(1, 0.999)]).toEqual([1000, 1999]);
  expect(pauseAfter(5, 0)).toBe(16_000);
  expect([pauseAfter(12, 0), pauseAfter(4000, 0.5)]).toEqual([1_800_000, 2_700_000]);
});
