import { createPublicKey, generateKeyPairSync, sign, verify, type KeyObject } from 'node:crypto';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { signedHeaders, webhookKey } from '../../src/webhooks/signature.ts';

const { privateKey, publicKey } = generateKeyPairSync('ed25519');
const signer = { sign: (content: Uint8Array) => sign(null, content, privateKey) };

/** As a receiver does it that has the text of the key alone. */
function keyOf(text: string): KeyObject {
  const x = Buffer.from(text.replace(/^whpk_/, ''), 'base64').toString('base64url');
  return createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' });
}

it('signs id, time and body of any message, for receivers with the public key', () => {
  const key = keyOf(webhookKey(publicKey.export({ type: 'spki', format: 'pem' }).toString()));
  fc.assert(
    fc.property(fc.uuid(), fc.nat(), fc.string({ unit: 'binary' }), (id, seconds, text) => {
      const body = text.toWellFormed();
      const headers = signedHeaders(signer, id, new Date(seconds * 1000 + 999), body);
      expect(headers['webhook-timestamp']).toBe(String(seconds));
      const [version, signature = ''] = (headers['webhook-signature'] ?? '').split(',');
      expect(version).toBe('v1a');
      const isSigned = (content: string) => verify(null, Buffer.from(content), key, Buffer.from(signature, 'base64'));
      expect(isSigned(`${headers['webhook-id']}.${seconds}.${body}`)).toBe(true);
      expect(isSigned(`${id}.${seconds + 1}.${body}`)).toBe(false);
    }),
    { numRuns: 25 },
  );
});
