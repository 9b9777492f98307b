import type { FaceTemplate } from '../../templates/face-template.ts';
import type { FingerTemplate } from '../../templates/finger-template.ts';
import type { FaceKind } from '../kernels/packed-probe.ts';
import type { Calibrations } from './calibrations.ts';
import { kernelHash } from '../kernels/kernels.ts';
import { shippedFingerModel, shippedVectorModel } from '../model/shipped-model.ts';

/** The version of a comparison algorithm and of its calibration. */
export interface ModelVersion {
  readonly modality: 'finger' | 'face';
  /** Finger: the comparison model. Face: the model that made the embeddings. */
  readonly model: string;
  /** Hash of everything that decides a score. */
  readonly hash: string;
  readonly calibration: string;
}

/** The versions used for these templates, without repetition, fingers first. */
export function modelVersions(
  calibrations: Calibrations,
  templates: readonly (FingerTemplate | FaceTemplate)[],
): ModelVersion[] {
  const versions = new Map<string, ModelVersion>();
  for (const template of templates) {
    const version = template.modality === 'finger' ? fingerVersion(calibrations) : faceVersion(calibrations, template);
    versions.set(`${version.modality === 'finger' ? 0 : 1}${version.model}`, version);
  }
  return [...versions].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, version]) => version);
}

export function fingerVersion(calibrations: Calibrations): ModelVersion {
  return {
    modality: 'finger',
    model: shippedFingerModel().description.name,
    hash: kernelHash(),
    calibration: calibrations.finger.version,
  };
}

export function faceVersion(calibrations: Calibrations, kind: FaceKind): ModelVersion {
  return {
    modality: 'face',
    model: kind.modelId,
    hash: kernelHash(),
    calibration: calibrations.face(kind).version,
  };
}

/** The versions that packed references depend on: references of other versions are not comparable. */
export function packedModels(): { readonly finger: string; readonly kernels: string; readonly vectors: string } {
  return { finger: shippedFingerModel().description.name, kernels: kernelHash(), vectors: shippedVectorModel().hash };
}
