/**
 * A face that attackers compare with. Scores and rates are those of the kernels: the inner product of signed bytes, and
 * the shipped calibration.
 */
import { Modality } from '../../src/contract/generated/ridgewatch/v1/sample.ts';
import { isInSpectrum, type FaceSpectrum } from '../../src/matching/kernels/face-spectrum.ts';
import { SHIPPED_CALIBRATIONS } from '../../src/matching/rates/calibrations.ts';
import { implausible, requirePlausibleFace } from '../../src/templates/face-plausibility.ts';
import { quantised } from '../people/real-faces.ts';
import type { Attempt } from './attempt.ts';
import { ServicePath, type Caller, type Seen } from './service-path.ts';
import { dot } from './vectors.ts';

export interface AttackedFaces {
  /** The reference that is attacked. */
  readonly target: Int8Array;
  /** Undefined: too few faces are enrolled to learn one. */
  readonly spectrum: FaceSpectrum | undefined;
  /** Subjects in the gallery. */
  readonly subjects: number;
}

export class AttackedService {
  readonly #faces: AttackedFaces;
  readonly #attempt: Attempt;
  readonly #path: ServicePath;
  readonly #calibration;

  constructor(faces: AttackedFaces, attempt: Attempt, isDefended: boolean) {
    this.#faces = faces;
    this.#attempt = attempt;
    this.#path = new ServicePath(attempt, faces.subjects, isDefended);
    this.#calibration = SHIPPED_CALIBRATIONS.face({ modelId: 'attacked', dimension: faces.target.length });
  }

  /** Compares 1 to 16 probes with the target. @returns undefined: refused */
  verify(probes: readonly ArrayLike<number>[]): Seen | undefined {
    return this.#attempt.call((caller) => {
      const samples = this.#admit(caller, probes);
      return this.#path.verify(caller, () => samples.map((sample) => this.#score(sample)));
    });
  }

  /** Searches with one probe, see ServicePath. @returns undefined: refused */
  identify(probe: ArrayLike<number>, maxLog10Fmr: number): number | undefined {
    return this.#attempt.call((caller) => {
      const [sample] = this.#admit(caller, [probe]);
      return this.#path.identify(this.#score(sample), maxLog10Fmr);
    });
  }

  /** Enrols a probe, or changes it, and asks for duplicates, see ServicePath. @returns undefined: refused */
  duplicates(probe: ArrayLike<number>, maxLog10Fmr: number): number | undefined {
    const sample = quantised(Float32Array.from(probe));
    return this.#attempt.call((caller) => this.#path.duplicates(caller, this.#score(sample), maxLog10Fmr));
  }

  /** The attacker lets time pass. @throws Ended */
  wait(ms: number): void {
    this.#attempt.wait(ms);
  }

  /** The attacker's present estimate. @returns whether it would pass */
  claim(estimate: ArrayLike<number>): boolean {
    const rebuilt = quantised(Float32Array.from(estimate));
    const { target } = this.#faces;
    const similarity = dot(rebuilt, target) / Math.sqrt(dot(rebuilt, rebuilt) * dot(target, target));
    this.#attempt.noteRebuilt(similarity, this.#score(rebuilt).log10Fmr <= this.#path.threshold);
    return this.#attempt.isRebuilt;
  }

  #admit(caller: Caller, probes: readonly ArrayLike<number>[]): readonly Int8Array[] {
    const samples = probes.map((probe) => quantised(Float32Array.from(probe)));
    const { spectrum } = this.#faces;
    if (this.#path.isDefended)
      for (const values of samples) {
        requirePlausibleFace({ values });
        if (spectrum && !isInSpectrum(spectrum, values)) throw implausible();
      }
    this.#path.admit(
      caller,
      samples.map((vector) => ({ trait: 'face:attacked', vector })),
    );
    return samples;
  }

  #score(sample: Int8Array) {
    const score = dot(sample, this.#faces.target);
    return { modality: Modality.FACE, score, ...this.#calibration.rate(score) };
  }
}
