import type { Scope } from '../../gallery/scope.ts';
import type { Segment } from '../../gallery/segment.ts';
import type { Gallery } from '../../gallery/gallery.ts';
import { fuse, sampleScore, instanceNameOf, type ComparedReference, type SampleScore } from './candidate-list.ts';
import { explainScores, withExplanations, type Unexplained } from './explain-scores.ts';
import { REMOVED_SCORE } from '../kernels/kernels.ts';
import { comparePieces } from './comparisons.ts';
import type { Probe } from './probe.ts';
import { positionOf } from './sample-scores.ts';
import { SearchTasks } from './search-tasks.ts';
import { SearchView } from './search-view.ts';
import type { WorkerPool } from '../workers/worker-pool.ts';

/** The result of a 1:1 comparison. It is never a decision: that is left to a human. */
export interface VerificationResult {
  /** log10 of the fused false match rate; 0 when there was no comparison. */
  readonly log10Fmr: number;
  /** The best score of each probe with a comparable reference, in the order of the probes. */
  readonly scores: readonly SampleScore[];
  /** For each probe: the references that it was compared with. */
  readonly compared: readonly number[];
  readonly galleryVersion: number;
}

/**
 * Compares the probes with an enrolled subject.
 * @param classes - the caller may compare with subjects of these; undefined: of all
 * @param explain - explain the finger scores
 * @returns undefined when the subject is not in the gallery, is of another class, has expired, or was removed while the
 * comparison ran
 */
export async function verifySubject(
  gallery: Gallery,
  pool: WorkerPool,
  probes: readonly Probe[],
  subjectId: string,
  scope: Scope,
  explain = false,
): Promise<VerificationResult | undefined> {
  const view = new SearchView(gallery, probes, scope);
  try {
    const subject = gallery.subject(subjectId);
    if (subject === undefined || !view.isPresent(subject)) return undefined;
    // No task may be running when the view is closed, even after a failure.
    const outcomes = await new SearchTasks(probes.length).all(
      probes.map((probe) => async () => {
        const found: Found[] = [];
        const { packed } = probe;
        if (packed === undefined) return best(probe, found);
        const bySegment = Map.groupBy(view.referencesFor(probe, subject), ({ segment }): Segment => segment);
        const pieces = Array.from(bySegment, ([segment, references]) => ({
          segment,
          indices: Uint32Array.from(references, ({ index }) => index),
        }));
        const { scores } = await comparePieces(pool, packed, pieces);
        [...bySegment.values()].flat().forEach((reference, i) => {
          const { referenceId } = reference;
          const instance = instanceNameOf(probe, positionOf(reference), referenceId);
          found.push({ referenceId, instance, score: scores[i], reference });
        });
        return best(
          probe,
          found.filter(({ score }) => score !== REMOVED_SCORE),
        );
      }),
    );
    const result = await summarise(outcomes, view.version, pool, explain);
    return view.isPresent(subject) ? result : undefined;
  } finally {
    view.close();
  }
}

/**
 * Compares the probes with samples that are not in the gallery. Fingers of two different known positions are not
 * compared, nor faces of two models.
 * @param explain - explain the finger scores
 */
export async function verifySamples(
  gallery: Gallery,
  pool: WorkerPool,
  probes: readonly Probe[],
  references: readonly Probe[],
  explain = false,
): Promise<VerificationResult> {
  const comparableProbes = probes.flatMap(({ packed }) => packed ?? []);
  const usable = references.filter(({ packed }) => packed !== undefined);
  const { scores } = await pool.crossCompare({
    kind: 'cross-compare',
    probes: comparableProbes,
    references: usable.flatMap(({ packed }) => packed ?? []),
  });
  let row = 0;
  const outcomes = probes.map((probe) => {
    if (probe.packed === undefined) return best(probe, []);
    const line = scores[row++] ?? [];
    const found = usable.flatMap((reference, i) => {
      const score = line[i];
      if (score === undefined || !sameSource(probe, reference)) return [];
      const position = reference.template.modality === 'finger' ? reference.template.position : 0;
      return [{ referenceId: undefined, instance: instanceNameOf(probe, position, String(i)), score, reference }];
    });
    return best(probe, found);
  });
  return summarise(outcomes, gallery.version, pool, explain);
}

/** Whether two samples may be of the same instance. */
function sameSource({ template: a }: Probe, { template: b }: Probe): boolean {
  if (a.modality === 'face') return b.modality === 'face' && a.modelId === b.modelId;
  return b.modality === 'finger' && (a.position === 0 || b.position === 0 || a.position === b.position);
}

interface Outcome {
  readonly compared: number;
  readonly score: SampleScore | undefined;
  readonly reference?: Unexplained['reference'];
}

interface Found extends ComparedReference {
  readonly score: number;
  readonly reference: Unexplained['reference'];
}

function best(probe: Probe, found: readonly Found[]): Outcome {
  const [first] = [...found].sort(
    (a, b) => b.score - a.score || ((a.referenceId ?? '') < (b.referenceId ?? '') ? -1 : 1),
  );
  if (first === undefined) return { compared: 0, score: undefined };
  const { score, reference, ...compared } = first;
  return { compared: found.length, score: sampleScore(probe, compared, score, found.length), reference };
}

async function summarise(
  outcomes: readonly Outcome[],
  galleryVersion: number,
  pool: WorkerPool,
  explain: boolean,
): Promise<VerificationResult> {
  const found = outcomes.flatMap(({ score, reference }) => (score === undefined ? [] : [{ score, reference }]));
  const explanations = explain ? await explainScores(pool, found) : new Map();
  const scores = withExplanations(
    found.map(({ score }) => score),
    explanations,
  );
  return { log10Fmr: fuse(scores), scores, compared: outcomes.map(({ compared }) => compared), galleryVersion };
}
