import { Failure } from '../../failure.ts';
import { DirectComparer } from '../../matching/direct-comparison.ts';
import { modelVersions } from '../../matching/model-version.ts';
import { faceCalibration, fingerCalibration } from '../../matching/calibration.ts';
import type { FaceTemplate } from '../../templates/face-template.ts';
import type { FingerTemplate } from '../../templates/finger-template.ts';
import { decodeSample } from '../../templates/sample.ts';
import { oddsOf } from '../candidate-table.ts';
import { EXIT } from '../exit-codes.ts';
import type { TemplateOptions } from '../shared-options.ts';
import { readTemplateFile } from '../template-files.ts';

interface CompareOptions extends TemplateOptions {
  readonly json?: boolean;
}

type Template = FingerTemplate | FaceTemplate;

interface ViewScore {
  readonly view_a: number;
  readonly view_b: number;
  readonly score: number;
  readonly log10_fmr: number;
  readonly extrapolated: boolean;
}

/** Compares two template files in this process: every view of one with every view of the other. */
export async function compare([fileA = '', fileB = '']: string[], options: CompareOptions): Promise<number> {
  const a = templatesOf(fileA, options);
  const b = templatesOf(fileB, options);
  if (a[0]?.modality !== b[0]?.modality) {
    throw new Failure('invalid-argument', 'MODALITY_MISMATCH', 'A finger and a face cannot be compared.');
  }
  if (a[0]?.modality === 'face' && b[0]?.modality === 'face' && a[0].dimension !== b[0].dimension) {
    throw new Failure('invalid-argument', 'WRONG_DIMENSION', 'Embeddings of different dimensions cannot be compared.');
  }
  const views = compareAll(a, b).sort((p, q) => q.score - p.score);
  const [best] = views;
  const [model] = modelVersions(a);
  const document = {
    outcome: best === undefined ? 'not comparable' : 'compared',
    ...(best !== undefined && {
      score: best.score,
      log10_fmr: best.log10_fmr,
      estimated_fmr: 10 ** best.log10_fmr,
      extrapolated: best.extrapolated,
    }),
    views,
    model,
  };
  process.stdout.write(options.json ? `${JSON.stringify(document)}\n` : `${inWords(best)}\n`);
  return Promise.resolve(best === undefined ? EXIT.notComparable : EXIT.ok);
}

function templatesOf(file: string, options: CompareOptions): Template[] {
  const sample = readTemplateFile(file, { model: options.model, position: options.position });
  try {
    return decodeSample(sample).map(({ template }) => template);
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    throw new Failure(error.kind, error.reason, `${file}: ${error.message}`, error.detail);
  }
}

function compareAll(a: readonly Template[], b: readonly Template[]): ViewScore[] {
  const comparer = new DirectComparer();
  return a.flatMap((probe, i) =>
    b.flatMap((reference, j) => {
      const score = comparer.compare(probe, reference);
      if (score === undefined) return [];
      const calibration = probe.modality === 'finger' ? fingerCalibration : faceCalibration(probe.dimension);
      const { log10Fmr, extrapolated } = calibration.rate(score);
      return [{ view_a: i, view_b: j, score, log10_fmr: log10Fmr, extrapolated }];
    }),
  );
}

function inWords(best: ViewScore | undefined): string {
  if (best === undefined) return 'Not comparable: a template has too few minutiae.';
  const note = best.extrapolated ? ' (extrapolated beyond the calibration data)' : '';
  return `Score ${best.score}. Templates of different people are as alike as this ${oddsOf(best.log10_fmr)}${note}.`;
}
