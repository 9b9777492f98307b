import { Failure } from '../failure.ts';
import type { PolicyReading } from './policy-reading.ts';

// What the handling codes of a record mean to policies; docs/access.md lists them.

/** Caveats that restrict nothing by themselves: labels that only people read, such as `X-ARMED`. */
const LABEL = /^X-/;
const RELEASE = /^REL-/;
const CLASSIFICATIONS = ['RESTRICTED', 'CONFIDENTIAL', 'SECRET'];
const ORIGINATOR_CONTROL = 'ORCON';

/** Attributes of a record class that follow from its caveats, as ridgewatch.cedarschema names them. */
export interface CaveatFacts {
  /** Highest classification: 0 none to 3 SECRET. */
  readonly classification: number;
  /** Agency codes of the `REL-` caveats. */
  readonly releasableTo: readonly string[];
  readonly isReleaseLimited: boolean;
  readonly minor: boolean;
  readonly suspended: boolean;
  readonly hasUnknownCaveat: boolean;
}

type Known = Pick<PolicyReading, 'caveats' | 'attributes'>;

/** @param reading - what the policies in force read: a caveat that none of them reads is unknown */
export function caveatFacts(caveats: readonly string[], reading: Known): CaveatFacts {
  const releases = caveats.filter((caveat) => RELEASE.test(caveat));
  return {
    classification: Math.max(0, ...caveats.map((caveat) => CLASSIFICATIONS.indexOf(caveat) + 1)),
    releasableTo: releases.map((caveat) => caveat.slice('REL-'.length)).filter((code) => code !== ''),
    isReleaseLimited: releases.length > 0 || caveats.includes(ORIGINATOR_CONTROL),
    minor: caveats.includes('MINOR'),
    suspended: caveats.includes('SUSPENDED'),
    hasUnknownCaveat: caveats.some((caveat) => !isKnownCaveat(caveat, reading)),
  };
}

/**
 * True if a policy in force reads the caveat, or it is a label. A policy may read it by its text
 * (`resource.caveats.contains("NO-ONWARD")`) or by the attribute that it sets (`resource.minor`).
 */
export function isKnownCaveat(caveat: string, { caveats, attributes }: Known): boolean {
  if (LABEL.test(caveat) || caveats.has(caveat)) return true;
  const attribute = attributeOf(caveat);
  return attribute !== undefined && attributes.has(attribute);
}

/**
 * For records to be stored: a caveat that means nothing yet would keep the record from every other agency
 * without a sign of it.
 * @throws Failure CAVEAT_UNKNOWN with the field `caveats[i]`
 */
export function requireKnownCaveats(caveats: readonly string[], reading: Known): void {
  const unknown = caveats.findIndex((caveat) => !isKnownCaveat(caveat, reading));
  if (unknown < 0) return;
  const sentence = 'No policy reads this caveat. Labels that restrict nothing begin with X-.';
  throw new Failure('invalid-argument', 'CAVEAT_UNKNOWN', sentence, { field: `caveats[${unknown}]` });
}

function attributeOf(caveat: string): keyof CaveatFacts | undefined {
  if (CLASSIFICATIONS.includes(caveat)) return 'classification';
  if (caveat === ORIGINATOR_CONTROL) return 'isReleaseLimited';
  if (caveat === 'MINOR') return 'minor';
  if (caveat === 'SUSPENDED') return 'suspended';
  return RELEASE.test(caveat) && caveat !== 'REL-' ? 'releasableTo' : undefined;
}
