import type { X509Certificate } from 'node:crypto';
import { fingerprintOf } from './fingerprint.ts';
import type { RevocationList } from './revocation-list.ts';

/** Why a certificate that was accepted is accepted no longer. */
export type Distrust = 'CERTIFICATE_REVOKED' | 'CERTIFICATE_EXPIRED' | 'AUTHORITY_REMOVED' | 'CHAIN_UNKNOWN';

/** A client's certificate that TLS has verified. */
export interface Verified {
  readonly certificate: X509Certificate;
  /**
   * The certificate, its issuer and so on, the authority last. Undefined where an issuer is not among the authorities:
   * the client has sent it, and Node.js does not show it.
   */
  readonly chain: readonly X509Certificate[] | undefined;
  /** What it was verified with. */
  readonly trust: ClientTrust;
  /** When the first of the chain ends, in milliseconds since 1970. */
  readonly endsAt: number;
}

/** Certificates from a client to an authority. OpenSSL would take up to a hundred. */
const MAX_CHAIN = 10;
/** Authorities of one name, each with signatures to check. */
const MAX_SIGNATURES = 32;

/** Whose certificates clients may have, and which of them are revoked. */
export class ClientTrust {
  readonly authorities: readonly X509Certificate[];
  readonly lists: readonly RevocationList[];
  readonly #fingerprints: ReadonlySet<string>;

  constructor(authorities: readonly X509Certificate[], lists: readonly RevocationList[]) {
    this.authorities = authorities;
    this.lists = lists;
    this.#fingerprints = new Set(authorities.map(fingerprintOf));
  }

  /** @param certificate - one that TLS has verified with these authorities and lists */
  verified(certificate: X509Certificate): Verified {
    return this.#describe(certificate, this.#chainOf(certificate));
  }

  /**
   * Whether a certificate that was accepted before is still accepted. Costs next to nothing where only time has passed.
   * @param now - milliseconds since 1970
   * @returns as it is accepted now, or why it is not
   */
  review(accepted: Verified, now: number): Verified | Distrust {
    const { certificate, chain, trust, endsAt } = accepted;
    if (endsAt < now) return 'CERTIFICATE_EXPIRED';
    if (trust === this) return accepted;
    // Only another handshake would tell.
    if (chain === undefined) return 'CHAIN_UNKNOWN';
    const root = chain.at(-1) ?? certificate;
    const current = this.#fingerprints.has(fingerprintOf(root)) ? chain : this.#chainOf(certificate);
    if (current === undefined) return 'AUTHORITY_REMOVED';
    if (current.some((one, at) => this.#isRevoked(one, current[at + 1] ?? one))) return 'CERTIFICATE_REVOKED';
    const reviewed = this.#describe(certificate, current);
    return reviewed.endsAt < now ? 'CERTIFICATE_EXPIRED' : reviewed;
  }

  #describe(certificate: X509Certificate, chain: Verified['chain']): Verified {
    const ends = (chain ?? [certificate]).map(({ validToDate }) => validToDate.getTime());
    return { certificate, chain, trust: this, endsAt: Math.min(...ends) };
  }

  /**
   * A chain of signatures to an authority that is its own issuer. OpenSSL has checked the rest, such as what the
   * certificates may be used for.
   */
  #chainOf(certificate: X509Certificate): readonly X509Certificate[] | undefined {
    let left = MAX_SIGNATURES;
    const search = (last: X509Certificate, chain: readonly X509Certificate[]): typeof chain | undefined => {
      if (last.checkIssued(last) && this.#fingerprints.has(fingerprintOf(last))) return chain;
      if (chain.length >= MAX_CHAIN) return undefined;
      for (const issuer of this.authorities) {
        if (!issuer.ca || chain.includes(issuer) || !last.checkIssued(issuer)) continue;
        if (left-- <= 0) return undefined;
        const whole = last.verify(issuer.publicKey) ? search(issuer, [...chain, issuer]) : undefined;
        if (whole !== undefined) return whole;
      }
      return undefined;
    };
    return search(certificate, [certificate]);
  }

  #isRevoked(certificate: X509Certificate, issuer: X509Certificate): boolean {
    return this.lists.some((list) => list.revokes(certificate.serialNumber) && list.isNamedBy(issuer));
  }
}
