import { Gauge, type Registry } from 'prom-client';

/** The lists of indexed searches of one kind of probes. */
interface ListGaugesOfKind {
  /** One of a few words. */
  readonly kind: string;
  readonly shares: { readonly ranked: number; readonly compared: number };
  /** Probes that the lengths were measured with; 0: they were not measured. */
  readonly trials: number;
  readonly hits: number;
  readonly hitRateLower: number;
}

export interface ListGauges {
  readonly targetHitRate: number;
  readonly kinds: readonly ListGaugesOfKind[];
}

/** Gauges of the lists that indexed searches make. @param lists - called for each rendering */
export function addListGauges(registry: Registry, lists: () => ListGauges): void {
  const registers = [registry];
  new Gauge({
    name: 'ridgewatch_index_target_hit_rate',
    help: 'Share of the mates ranked first by an exact search that indexed searches must have, as configured.',
    registers,
    collect() {
      this.set(lists().targetHitRate);
    },
  });
  const byKind = (
    name: string,
    help: string,
    value: (kind: ListGaugesOfKind) => number,
    isShown: (kind: ListGaugesOfKind) => boolean = () => true,
  ) =>
    new Gauge({
      name,
      help,
      labelNames: ['modality'],
      registers,
      collect() {
        this.reset();
        for (const kind of lists().kinds) if (isShown(kind)) this.set({ modality: kind.kind }, value(kind));
      },
    });
  const isMeasured = ({ trials }: ListGaugesOfKind) => trials > 0;
  const measured =
    'Hit rate of indexed searches, measured with probes made of references of the gallery, by their modality: ';
  byKind('ridgewatch_index_measured_hit_rate', `${measured}share.`, ({ hits, trials }) => hits / trials, isMeasured);
  byKind(
    'ridgewatch_index_measured_hit_rate_lower',
    `${measured}lower 95 % confidence limit.`,
    ({ hitRateLower }) => hitRateLower,
    isMeasured,
  );
  byKind(
    'ridgewatch_index_ranked_share',
    'Share of the subjects that indexed searches rank by whole vectors, above a minimum, by modality of the probes.',
    ({ shares }) => shares.ranked,
  );
  byKind(
    'ridgewatch_index_compared_share',
    'Share of the subjects that indexed searches compare, above a minimum, by modality of the probes.',
    ({ shares }) => shares.compared,
  );
}
