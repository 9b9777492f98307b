/** Vectors of the subjects of a gallery, and of other captures of some of them. */
export const MODALITIES = ['face', 'finger', 'two-fingers'] as const;
export type Modality = (typeof MODALITIES)[number];

/** One vector for each position: a face, a finger, or two fingers. */
export type Sample = readonly Int8Array[];

export interface ProbeKind {
  readonly kind: string;
  /** The mate of probe i is row i. */
  readonly probes: readonly Sample[];
}

export interface VectorSet {
  /** Source of the vectors. */
  readonly description: string;
  readonly dimension: number;
  readonly subjects: number;
  /** For each position one row for each subject, in shared memory: mates of probes first. */
  readonly positions: readonly Int8Array<SharedArrayBuffer>[];
  readonly kinds: readonly ProbeKind[];
}

/** Room for one position. */
export function roomFor(subjects: number, dimension: number): Int8Array<SharedArrayBuffer> {
  return new Int8Array(new SharedArrayBuffer(subjects * dimension));
}

/** The gallery of the first subjects: the mates and fewer others. Probes whose mate is not among them are left out. */
export function firstSubjects(set: VectorSet, subjects: number): VectorSet {
  return {
    ...set,
    subjects,
    positions: set.positions.map((rows) => rows.subarray(0, subjects * set.dimension)),
    kinds: set.kinds.map(({ kind, probes }) => ({ kind, probes: probes.slice(0, subjects) })),
  };
}

/** The enrolled vectors of a subject. */
export function enrolledSample({ positions, dimension }: VectorSet, row: number): Sample {
  return positions.map((rows) => rows.subarray(row * dimension, (row + 1) * dimension));
}
