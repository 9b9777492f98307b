import { Counter, type Registry } from 'prom-client';

/** Counts readings of the keys of identity providers. */
export function providerKeyReadings(registry: Registry): (outcome: 'read' | 'failed') => void {
  const counter = new Counter({
    name: 'ridgewatch_provider_key_readings_total',
    help: 'Readings of the keys of identity providers: the keys were read, or could not be.',
    labelNames: ['outcome'],
    registers: [registry],
  });
  // An alarm needs the counter before the first failure.
  for (const outcome of ['read', 'failed']) counter.inc({ outcome }, 0);
  return (outcome) => counter.inc({ outcome });
}
