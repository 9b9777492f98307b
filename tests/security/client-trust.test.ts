import { expect, it } from 'vitest';
import { ClientTrust } from '../../src/security/client-trust.ts';
import { RevocationList } from '../../src/security/revocation-list.ts';
import { Authority } from './authority.ts';

it('tells authorities of one name apart by their signatures', async () => {
  const [twin, authority] = await Promise.all([Authority.create('same'), Authority.create('same')]);
  const { certificate } = await authority.issue('client');
  const trust = new ClientTrust([twin.certificate, authority.certificate], []);
  expect(trust.verified(certificate).chain).toEqual([certificate, authority.certificate]);
  expect(new ClientTrust([twin.certificate], []).verified(certificate).chain).toBeUndefined();
});

it('takes no certificate for an authority that is none', async () => {
  const authority = await Authority.create('authority');
  const below = await authority.issue('below');
  const { certificate } = await below.asAuthority().issue('client');
  const trust = new ClientTrust([authority.certificate, below.certificate], []);
  expect(trust.verified(certificate).chain).toBeUndefined();
});

it('finds the way where one authority was certified by several', async () => {
  const [gone, root] = await Promise.all([Authority.create('gone'), Authority.create('root')]);
  const below = await gone.createBelow('below');
  const again = await root.certifyAgain(below);
  const { certificate } = await below.issue('client');
  const trust = new ClientTrust([below.certificate, again, root.certificate], []);
  expect(trust.verified(certificate).chain).toEqual([certificate, again, root.certificate]);
});

it('judges by the list of the issuer, not by that of another with the same serial numbers', async () => {
  const [one, other] = await Promise.all([Authority.create('one'), Authority.create('other')]);
  const [mine, theirs] = await Promise.all([one, other].map((from) => from.issue('x', { serial: '77' })));
  const before = new ClientTrust([one.certificate, other.certificate], []);
  const after = new ClientTrust(before.authorities, [
    new RevocationList(await other.revoke([theirs])),
    new RevocationList(await one.revoke([])),
  ]);
  const review = (issued: typeof mine) =>
    after.review(before.verified((issued as NonNullable<typeof mine>).certificate), Date.now());
  expect(review(theirs)).toBe('CERTIFICATE_REVOKED');
  expect(review(mine)).toMatchObject({ trust: after });
});
