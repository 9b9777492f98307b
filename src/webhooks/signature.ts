/**
 * Signatures of "Standard Webhooks" 1.0 with Ed25519 (v1a): the receiver holds no secret. Its library for Node.js knows
 * secrets that both sides share only.
 */
import { createPublicKey } from 'node:crypto';

/** Makes a signature of 64 bytes. */
export interface Signer {
  sign(content: Uint8Array): Buffer;
}

/**
 * The headers that sign a message.
 * @param id - the same at each attempt: the receiver tells a repetition by it. It has no dot
 * @param now - of this attempt: the receiver refuses old ones, which may be replayed
 */
export function signedHeaders(signer: Signer, id: string, now: Date, body: string): Record<string, string> {
  const timestamp = String(Math.floor(now.getTime() / 1000));
  const signature = signer.sign(Buffer.from(`${id}.${timestamp}.${body}`)).toString('base64');
  return { 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': `v1a,${signature}` };
}

/** A public key as receivers are given it: `whpk_` and its 32 bytes in base64. @param pem - of an Ed25519 key */
export function webhookKey(pem: string): string {
  const { x = '' } = createPublicKey(pem).export({ format: 'jwk' });
  return `whpk_${Buffer.from(x, 'base64url').toString('base64')}`;
}
