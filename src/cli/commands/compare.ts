import { basename } from 'node:path';
import { createFile } from '../../files/durable-file.ts';
import { Failure } from '../../failure.ts';
import { DirectComparer } from '../../matching/workers/direct-comparison.ts';
import type { ExplainedComparison } from '../../matching/model/explained-comparison.ts';
import { modelVersions } from '../../matching/rates/model-version.ts';
import { SHIPPED_CALIBRATIONS } from '../../matching/rates/calibrations.ts';
import type { FaceTemplate } from '../../templates/face-template.ts';
import type { FingerTemplate } from '../../templates/finger-template.ts';
import { oddsOf } from '../candidate-table.ts';
import { drawExplanation } from '../explanation-drawing.ts';
import { EXIT } from '../exit-codes.ts';
import { FingerExplanation } from '../../contract/generated/ridgewatch/v1/explanation.ts';
import { toWireExplanation } from '../../contract/wire-explanation.ts';
import { toProtoJson } from '../../contract/proto-json.ts';
import type { TemplateOptions } from '../shared-options.ts';
import { decodeFile, readTemplateFile } from '../template-files.ts';

interface CompareOptions extends TemplateOptions {
  readonly json?: boolean;
  /** File for the drawing; must not exist. */
  readonly explain?: string;
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
  const warnings: FileWarning[] = [];
  const a = templatesOf(fileA, options, warnings);
  const b = templatesOf(fileB, options, warnings);
  if (a[0]?.modality !== b[0]?.modality) {
    throw new Failure('invalid-argument', 'MODALITY_MISMATCH', 'A finger and a face cannot be compared.');
  }
  if (a[0]?.modality === 'face' && b[0]?.modality === 'face' && a[0].dimension !== b[0].dimension) {
    throw new Failure('invalid-argument', 'WRONG_DIMENSION', 'Embeddings of different dimensions cannot be compared.');
  }
  if (options.explain !== undefined && a[0]?.modality === 'face') {
    throw new Failure('invalid-argument', 'NOT_EXPLAINABLE', 'The score of two faces has no parts to explain.');
  }
  const views = compareAll(a, b).sort((p, q) => q.score - p.score);
  const [best] = views;
  const explanation =
    best === undefined || options.explain === undefined
      ? undefined
      : await explain(a[best.view_a], b[best.view_b], [fileA, fileB], options.explain);
  const [model] = modelVersions(SHIPPED_CALIBRATIONS, a);
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
    ...(warnings.length > 0 && { warnings }),
    ...(explanation !== undefined && {
      explanation: toProtoJson(FingerExplanation.toJSON(toWireExplanation(explanation))),
    }),
  };
  for (const { file, message, byte_offset } of options.json ? [] : warnings)
    process.stderr.write(`Warning: ${file}: ${message} (byte ${byte_offset}).\n`);
  process.stdout.write(options.json ? `${JSON.stringify(document)}\n` : `${inWords(best)}\n`);
  return best === undefined ? EXIT.notComparable : EXIT.ok;
}

/** A warning about a file that was read. */
interface FileWarning {
  readonly file: string;
  readonly code: string;
  readonly byte_offset: number;
  readonly message: string;
}

function templatesOf(file: string, options: CompareOptions, warnings: FileWarning[]): Template[] {
  const sample = readTemplateFile(file, { model: options.model, position: options.position });
  return decodeFile(file, sample, ({ code, offset, message }) => {
    warnings.push({ file, code, byte_offset: offset, message });
  });
}

function compareAll(a: readonly Template[], b: readonly Template[]): ViewScore[] {
  const comparer = new DirectComparer();
  return a.flatMap((probe, i) =>
    b.flatMap((reference, j) => {
      const score = comparer.compare(probe, reference);
      if (score === undefined) return [];
      const { log10Fmr, extrapolated } = SHIPPED_CALIBRATIONS.of(probe).rate(score);
      return [{ view_a: i, view_b: j, score, log10_fmr: log10Fmr, extrapolated }];
    }),
  );
}

/** Draws the explained score of two fingers to a new file, which only its owner may read: it shows minutiae. */
async function explain(
  a: Template | undefined,
  b: Template | undefined,
  [probeName, referenceName]: readonly [string, string],
  file: string,
): Promise<ExplainedComparison | undefined> {
  const comparer = new DirectComparer();
  const [probe, reference] = [a && comparer.pack(a)?.packed, b && comparer.pack(b)?.packed];
  if (probe === undefined || reference === undefined) return undefined;
  const explanation = comparer.explainPacked(probe, reference);
  if (explanation === undefined) return undefined;
  const names = { probeName: basename(probeName), referenceName: basename(referenceName) };
  const drawing = drawExplanation({ ...names, probe, reference, explanation });
  await createFile(file, (draft) => draft.writeFile(drawing));
  return explanation;
}

function inWords(best: ViewScore | undefined): string {
  if (best === undefined) return 'Not comparable: a template has too few minutiae.';
  const note = best.extrapolated ? ' (extrapolated beyond the calibration data)' : '';
  return `Score ${best.score}: FMR ${oddsOf(best.log10_fmr)}${note}.`;
}
