import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
import { Coalesced } from './coalesced.ts';
import { addCertificateGauges, certificateReloads, type CertificateGauge } from './certificate-gauges.ts';
import { providerKeyReadings } from './provider-keys.ts';
import { addDamageGauges, type DamageGauges } from './damage-gauges.ts';
import { figureGauges } from './figure-gauges.ts';
import { addGraphGauges, type GraphGauges } from './graph-gauges.ts';
import { addListGauges, type ListGauges } from './list-gauges.ts';

/** What the gauges show at one moment. */
interface AuditCounts {
  readonly searches: number;
  readonly candidates: number;
  readonly missed: number;
}

export interface ServiceFigures extends DamageGauges {
  readonly subjects: number;
  /** Searchable references by partition, e.g. `finger:2`. */
  readonly references: readonly { readonly partition: string; readonly count: number }[];
  readonly galleryVersion: number;
  /**
   * The last change in the index that the gallery was loaded from (0: no index), and whether a newer index is refused.
   */
  readonly index: { readonly sequence: number; readonly isRefusing: boolean };
  readonly searchesUnderWay: number;
  readonly searchesWaiting: number;
  readonly ready: boolean;
  /** Whether the store can be reached and written, by its last probe. */
  readonly store: { readonly isReachable: boolean; readonly isWritable: boolean };
  /** Indexed searches repeated exactly, their candidates, and the candidates that the index missed. */
  readonly audit: AuditCounts;
  /** By modalities of the searches, and by how an index proposed the subjects. */
  readonly auditOf: readonly {
    readonly modality: string;
    readonly way: string;
    readonly figures: AuditCounts & { readonly missesTarget: boolean };
  }[];
  /** Lists of indexed searches. */
  readonly lists: ListGauges;
  /** Graphs that propose candidates. */
  readonly graphs: readonly GraphGauges[];
  /** Certificates in force; none without TLS. */
  readonly certificates: readonly CertificateGauge[];
  /** Records of the audit that are in the local file, in bytes, and those that could not be written since the start. */
  readonly auditTrail: { readonly spooledBytes: number; readonly refused: number };
  /** Segments compacted since the start. */
  readonly compactions: number;
}

/** One call, as the metrics count it. */
export interface CallFigures {
  /** e.g. `Identification/Identify`. */
  readonly method: string;
  /** Name of the gRPC status. */
  readonly code: string;
  /** Reason of a failure. */
  readonly reason: string | undefined;
  readonly seconds: number;
  /** Comparisons made. */
  readonly comparisons: number;
}

/** One answered search, as the metrics count it. */
export interface SearchFigures {
  /** `exact`, or how an index proposed the subjects. */
  readonly way: string;
  /** Where an early answer was wanted: whether there was one, and the time to the first answer. */
  readonly firstHit: { readonly isEarly: boolean; readonly seconds: number } | undefined;
}

const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/**
 * The service's metrics, in a registry of their own. Labels take few values: methods, statuses, reasons and partitions
 * are fixed or configured. Nothing sent by a caller becomes a label.
 */
export class Metrics {
  readonly #registry = new Registry();
  readonly #rendering: Coalesced<string>;
  readonly #calls: Counter<'method' | 'code'>;
  readonly #refused: Counter<'reason'>;
  readonly #warned: Counter<'code'>;
  readonly #seconds: Histogram<'method'>;
  readonly #waited: Histogram;
  readonly #comparisons: Counter;
  readonly #searches: Counter<'way'>;
  readonly #firstHit: Histogram<'outcome'>;
  /** Counts a reading of the files of certificates. */
  readonly observeCertificates: (outcome: 'replaced' | 'failed') => void;
  /** Counts a reading of the keys of an identity provider. */
  readonly observeProviderKeys: (outcome: 'read' | 'failed') => void;

  /**
   * @param figures - called once for each rendering
   * @param build - program version and comparison model
   */
  constructor(figures: () => ServiceFigures, build: { readonly version: string; readonly model: string }) {
    const registers = [this.#registry];
    collectDefaultMetrics({ register: this.#registry });
    this.observeCertificates = certificateReloads(this.#registry);
    this.observeProviderKeys = providerKeyReadings(this.#registry);
    this.#calls = new Counter({
      name: 'ridgewatch_grpc_calls_total',
      help: 'Calls by method and status; searches of a stream count one by one.',
      labelNames: ['method', 'code'],
      registers,
    });
    this.#refused = new Counter({
      name: 'ridgewatch_refused_total',
      help: 'Calls, and records of enrolment streams, that were refused or failed, by reason.',
      labelNames: ['reason'],
      registers,
    });
    this.#warned = new Counter({
      name: 'ridgewatch_sample_warnings_total',
      help: 'Samples and records that were taken although something is odd about them, by what it is.',
      labelNames: ['code'],
      registers,
    });
    this.#seconds = new Histogram({
      name: 'ridgewatch_grpc_call_seconds',
      help: 'Time from the arrival of a call to its answer.',
      labelNames: ['method'],
      buckets: SECONDS,
      registers,
    });
    this.#waited = new Histogram({
      name: 'ridgewatch_search_wait_seconds',
      help: 'Time that searches waited for their turn.',
      buckets: SECONDS,
      registers,
    });
    this.#comparisons = new Counter({
      name: 'ridgewatch_comparisons_total',
      help: 'Comparisons of a probe sample with a reference.',
      registers,
    });
    this.#searches = new Counter({
      name: 'ridgewatch_searches_total',
      help: 'Answered searches, by how they were made: exact, or by an index of codes or graphs.',
      labelNames: ['way'],
      registers,
    });
    this.#firstHit = new Histogram({
      name: 'ridgewatch_first_hit_seconds',
      help: 'Time to the first answer of searches with first_hit, by whether it was early or the complete one.',
      labelNames: ['outcome'],
      buckets: SECONDS,
      registers,
    });
    let now: ServiceFigures | undefined;
    this.#addGauges(() => (now ??= figures()), build);
    addListGauges(this.#registry, () => (now ??= figures()).lists);
    addGraphGauges(this.#registry, () => (now ??= figures()).graphs);
    addCertificateGauges(this.#registry, () => (now ??= figures()).certificates);
    this.#rendering = new Coalesced(() => {
      now = undefined;
      return this.#registry.metrics();
    });
  }

  observeCall({ method, code, reason, seconds, comparisons }: CallFigures): void {
    this.#calls.inc({ method, code });
    this.#seconds.observe({ method }, seconds);
    this.#comparisons.inc(comparisons);
    if (reason !== undefined) this.observeRefusal(reason);
  }

  observeSearch({ way, firstHit }: SearchFigures): void {
    this.#searches.inc({ way });
    if (firstHit !== undefined)
      this.#firstHit.observe({ outcome: firstHit.isEarly ? 'early' : 'complete' }, firstHit.seconds);
  }

  observeRefusal(reason: string): void {
    this.#refused.inc({ reason });
  }

  observeWarnings(warnings: readonly { readonly code: string }[]): void {
    for (const { code } of warnings) this.#warned.inc({ code });
  }

  observeWait(seconds: number): void {
    this.#waited.observe(seconds);
  }

  /** The metrics in the text format of Prometheus. Very frequent requests share answers and wait briefly. */
  async render(): Promise<{ readonly contentType: string; readonly body: string }> {
    return { contentType: this.#registry.contentType, body: await this.#rendering.get() };
  }

  #addGauges(figures: () => ServiceFigures, build: { readonly version: string; readonly model: string }): void {
    const registers = [this.#registry];
    const gauge = figureGauges(this.#registry, figures);
    gauge('ridgewatch_subjects', 'Subjects that can be searched.', ({ subjects }) => subjects);
    gauge('ridgewatch_gallery_version', 'The last change that searches see.', ({ galleryVersion }) => galleryVersion);
    gauge(
      'ridgewatch_index_sequence',
      'The last change of the index that the gallery was loaded from; 0: it was made from the store.',
      ({ index }) => index.sequence,
    );
    gauge('ridgewatch_index_refused', '1 while the published index is refused; the log says why.', ({ index }) =>
      index.isRefusing ? 1 : 0,
    );
    gauge('ridgewatch_searches_under_way', 'Searches under way.', ({ searchesUnderWay }) => searchesUnderWay);
    gauge(
      'ridgewatch_searches_waiting',
      'Searches that wait for their turn.',
      ({ searchesWaiting }) => searchesWaiting,
    );
    const audited = 'Of indexed searches that were repeated exactly since the start: ';
    gauge('ridgewatch_index_audit_searches', `${audited}how many.`, ({ audit }) => audit.searches);
    gauge('ridgewatch_index_audit_candidates', `${audited}those with a candidate.`, ({ audit }) => audit.candidates);
    gauge(
      'ridgewatch_index_audit_missed',
      `${audited}first candidates that the index missed.`,
      ({ audit }) => audit.missed,
    );
    const byModality = (
      name: string,
      help: string,
      value: (now: ServiceFigures['auditOf'][number]['figures']) => number,
    ) =>
      new Gauge({
        name,
        help,
        labelNames: ['modality', 'way'],
        registers,
        collect() {
          for (const { modality, way, figures: now } of figures().auditOf) this.set({ modality, way }, value(now));
        },
      });
    byModality(
      'ridgewatch_index_audit_modality_candidates',
      `${audited}those with a candidate, by modality of the probes and by index.`,
      ({ candidates }) => candidates,
    );
    byModality(
      'ridgewatch_index_audit_modality_missed',
      `${audited}first candidates that the index missed, by modality of the probes and by index.`,
      ({ missed }) => missed,
    );
    byModality(
      'ridgewatch_index_misses_target',
      '1 where the index misses significantly more first candidates than intended, by modality of the probes and by index.',
      ({ missesTarget }) => (missesTarget ? 1 : 0),
    );
    gauge(
      'ridgewatch_segment_rewritings',
      'Segments that were made, since the start, of what was left in others.',
      ({ compactions }) => compactions,
    );
    gauge('ridgewatch_ready', '1 when everything is searchable.', ({ ready }) => (ready ? 1 : 0));
    gauge('ridgewatch_store_reachable', '1 while the store can be reached.', ({ store }) =>
      store.isReachable ? 1 : 0,
    );
    gauge('ridgewatch_store_writable', '1 while the store takes changes; at 0 searches continue.', ({ store }) =>
      store.isWritable ? 1 : 0,
    );
    gauge(
      'ridgewatch_audit_spooled_bytes',
      'Bytes of audit records in the local file: above 0 while the database does not take them.',
      ({ auditTrail }) => auditTrail.spooledBytes,
    );
    gauge(
      'ridgewatch_audit_refused_records',
      'Audit records that could not be written since the start; their calls were refused.',
      ({ auditTrail }) => auditTrail.refused,
    );
    addDamageGauges(this.#registry, figures);
    new Gauge({
      name: 'ridgewatch_references',
      help: 'References that can be searched, by partition.',
      labelNames: ['partition'],
      registers,
      collect() {
        this.reset();
        for (const { partition, count } of figures().references) this.set({ partition }, count);
      },
    });
    new Gauge({
      name: 'ridgewatch_build_info',
      help: 'Version of the program and of its finger comparison.',
      labelNames: ['version', 'model'],
      registers,
    }).set(build, 1);
  }
}
