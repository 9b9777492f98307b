/** From measured pieces to what guards add. */
import { medianOf, quantile, spreadOf, type Spread } from '../harness/spread.ts';

/** Times of calls made by turns, in milliseconds: the same number of the list for each guards is the same search. */
export type Turns = Readonly<Record<string, readonly number[]>>;

/** One server under load for one moment. */
export interface Piece {
  readonly round: number;
  readonly guards: string;
  readonly answered: number;
  /** Seconds from the first call to the last answer. */
  readonly seconds: number;
  /** CPU time in milliseconds: of the service's process, of its main thread, of the database. */
  readonly cpuMs: number;
  readonly mainMs: number;
  readonly databaseMs: number;
}

export interface LatencyRow {
  readonly guards: string;
  /** Milliseconds: in quiet moments of the machine, and usually. */
  readonly p10: number;
  readonly p50: number;
  /** To those without guards. */
  readonly p10Ratio: number;
  readonly p50Ratio: number;
  /** What the guards add to a search, milliseconds: by pairs of the same search in turn. */
  readonly added: Spread;
}

/** @param base - name of the server without guards */
export function latencyOf(turns: Turns, base: string): LatencyRow[] {
  const others = turns[base] ?? [];
  return Object.entries(turns).map(([guards, own]) => ({
    guards,
    p10: quantile(own, 0.1),
    p50: medianOf(own),
    p10Ratio: quantile(own, 0.1) / quantile(others, 0.1),
    p50Ratio: medianOf(own) / medianOf(others),
    added: spreadOf(own.flatMap((took, i) => (i < others.length ? [took - others[i]] : []))),
  }));
}

export interface LoadRow {
  readonly guards: string;
  /** Medians of the pieces: searches a second, and CPU time of a search in milliseconds. */
  readonly perSecond: number;
  readonly cpuMs: number;
  readonly mainMs: number;
  readonly databaseMs: number;
  /** To the piece without guards of the same round. */
  readonly throughputRatio: Spread;
  /** CPU time of service and database together: the bound of throughput where nothing else waits. */
  readonly cpuRatio: Spread;
}

/** @param base - name of the server without guards */
export function loadOf(pieces: readonly Piece[], base: string): LoadRow[] {
  return [...new Set(pieces.map(({ guards }) => guards))].map((guards) => {
    const own = pieces.filter((piece) => piece.guards === guards);
    const median = (figure: (piece: Piece) => number) => medianOf(own.map(figure));
    const ratio = (figure: (piece: Piece) => number) =>
      spreadOf(
        own.flatMap((piece) =>
          pieces
            .filter((other) => other.guards === base && other.round === piece.round)
            .map((other) => figure(piece) / figure(other)),
        ),
      );
    return {
      guards,
      perSecond: median(perSecond),
      cpuMs: median(({ cpuMs, answered }) => cpuMs / answered),
      mainMs: median(({ mainMs, answered }) => mainMs / answered),
      databaseMs: median(({ databaseMs, answered }) => databaseMs / answered),
      throughputRatio: ratio(perSecond),
      cpuRatio: ratio(({ cpuMs, databaseMs, answered }) => (cpuMs + (databaseMs || 0)) / answered),
    };
  });
}

function perSecond({ answered, seconds }: Piece): number {
  return answered / seconds;
}
