import { Gauge, type Registry } from 'prom-client';
import { figureGauges } from './figure-gauges.ts';

/** Stored rows that are damaged, or were changed outside the service. */
export interface DamageGauges {
  readonly damagedReferences: {
    readonly count: number;
    /** The ids of some. */
    readonly ids: readonly string[];
  };
  /** Rows of the change sequence that are not followed, since the start. */
  readonly damagedChanges: number;
  /** Clients that are not let in. */
  readonly damagedClients: number;
}

/** @param figures - called for each rendering */
export function addDamageGauges(registry: Registry, figures: () => DamageGauges): void {
  const gauge = figureGauges(registry, figures);
  gauge(
    'ridgewatch_damaged_references',
    'Stored references that are damaged, and not searched if they were so when they were loaded; the log, GetStatus and ridgewatch store check say which.',
    ({ damagedReferences }) => damagedReferences.count,
  );
  gauge(
    'ridgewatch_damaged_changes',
    'Rows of the change sequence that were added or changed outside the service, met since the start; they are not followed.',
    ({ damagedChanges }) => damagedChanges,
  );
  gauge(
    'ridgewatch_damaged_clients',
    'Clients that were added, changed or put back outside the service, and are not let in; ridgewatch client list says which.',
    ({ damagedClients }) => damagedClients,
  );
  new Gauge({
    name: 'ridgewatch_damaged_reference',
    help: '1 for each stored reference that is damaged, by its id; of the first hundred.',
    labelNames: ['reference'],
    registers: [registry],
    collect() {
      this.reset();
      for (const reference of figures().damagedReferences.ids) this.set({ reference }, 1);
    },
  });
}
