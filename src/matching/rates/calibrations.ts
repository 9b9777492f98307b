import faceTable from './calibration/face.json' with { type: 'json' };
import fingerTable from './calibration/finger.json' with { type: 'json' };
import type { FaceKind, PackedProbe } from '../kernels/packed-probe.ts';
import { scoreOfCosineOne } from '../kernels/similarity.ts';
import { Calibration, type CalibrationTable } from './calibration.ts';
import { faceRates, faceRateTable, fingerRateTable, type RateTable } from './rate-table.ts';

/** Embedding dimension of the one model that the shipped face table was measured with. */
const FACE_TABLE_DIMENSION = 512;
/** Units of a face table for a cosine of 1. */
export const FACE_TABLE_UNITS = 10_000;

/** Tables that an operator measured on their own data. */
export interface OwnTables {
  readonly finger?: CalibrationTable | undefined;
  /** By model. */
  readonly faces: ReadonlyMap<string, { readonly dimension: number; readonly table: CalibrationTable }>;
}

interface FaceRates {
  readonly calibration: Calibration;
  table?: RateTable;
  bySimilarity?: Int16Array;
}

/**
 * The calibrations of one service, or of one of its threads: the operator's tables where given, otherwise the shipped
 * ones. Derived values are computed once. Immutable; threads are given `tables` and build their own.
 */
export class Calibrations {
  readonly tables: OwnTables;
  readonly finger: Calibration;
  #fingerRates: RateTable | undefined;
  readonly #faces = new Map<string, FaceRates>();

  constructor(tables: OwnTables = { faces: new Map() }) {
    this.tables = tables;
    this.finger = new Calibration(tables.finger ?? fingerTable);
  }

  /**
   * The calibration of a face model. The shipped table is in ten-thousandths of a cosine, and was measured on the
   * embeddings of one 512-component model. For every other dimension it is a guess, marked as extrapolated.
   */
  face(kind: FaceKind): Calibration {
    return this.#ratesOf(kind).calibration;
  }

  of(template: { readonly modality: 'finger' } | ({ readonly modality: 'face' } & FaceKind)): Calibration {
    return template.modality === 'finger' ? this.finger : this.face(template);
  }

  /** The rates of a probe's scores. */
  rateTable(probe: PackedProbe): RateTable {
    if (probe.modality === 'finger') return (this.#fingerRates ??= fingerRateTable(this.finger));
    const rates = this.#ratesOf(probe);
    return (rates.table ??= faceRateTable(rates.calibration, probe.dimension));
  }

  /** The rates of every similarity of two faces, see `faceRates` of rate-table.ts. */
  faceRates(kind: FaceKind): Int16Array {
    const rates = this.#ratesOf(kind);
    return (rates.bySimilarity ??= faceRates(rates.calibration, kind.dimension));
  }

  #ratesOf({ modelId, dimension }: FaceKind): FaceRates {
    const key = `${modelId}:${dimension}`;
    const known = this.#faces.get(key);
    if (known !== undefined) return known;
    const measured = this.tables.faces.get(modelId);
    const scale = FACE_TABLE_UNITS / scoreOfCosineOne(dimension);
    const calibration =
      measured?.dimension === dimension
        ? new Calibration(measured.table, scale)
        : new Calibration(faceTable, scale, dimension !== FACE_TABLE_DIMENSION);
    const made = { calibration };
    this.#faces.set(key, made);
    return made;
  }
}

/** The shipped calibrations. */
export const SHIPPED_CALIBRATIONS = new Calibrations();
