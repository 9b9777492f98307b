/** Where hits are kept. Every method throws Failure. */

/** One hit of an agency. */
export interface HitRow {
  /** Place among the hits of the agency; positions grow in the order of the commits. */
  readonly position: number;
  readonly hitId: string;
  readonly subjectId: string;
  /** Text of the audit record that it was made from; undefined: that is gone, or was changed. */
  readonly record: string | undefined;
}

export interface HitSource {
  /** The hits after a position, in order. @param limit - from 1 */
  hitsAfter(agency: string, position: number, limit: number): Promise<HitRow[]>;
  /** The greatest position of the agency; 0: it has no hits. */
  lastPosition(agency: string): Promise<number>;
  /** The position that a client has acknowledged; 0: none. */
  acknowledgedBy(agency: string, clientId: string): Promise<number>;
  /** Acknowledges; a smaller position than before changes nothing. @returns the acknowledged position */
  acknowledge(agency: string, clientId: string, position: number, now: Date): Promise<number>;
}
