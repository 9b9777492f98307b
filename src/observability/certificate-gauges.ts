import { Counter, Gauge, type Registry } from 'prom-client';

/** When a certificate or list in force ends. */
export interface CertificateGauge {
  /** One of a few words. */
  readonly what: string;
  readonly until: Date;
}

/** Gauges of the certificates in force. @param certificates - called for each rendering */
export function addCertificateGauges(registry: Registry, certificates: () => readonly CertificateGauge[]): void {
  new Gauge({
    name: 'ridgewatch_certificate_end_seconds',
    help: 'When the first of the certificates or revocation lists in force ends, by kind, in seconds since 1970.',
    labelNames: ['what'],
    registers: [registry],
    collect() {
      this.reset();
      const first = new Map<string, number>();
      for (const { what, until } of certificates())
        first.set(what, Math.min(first.get(what) ?? Infinity, until.getTime() / 1000));
      for (const [what, seconds] of first) this.set({ what }, seconds);
    },
  });
}

/** Counts readings of the files of certificates after the start. */
export function certificateReloads(registry: Registry): (outcome: 'replaced' | 'failed') => void {
  const counter = new Counter({
    name: 'ridgewatch_certificate_reloads_total',
    help: 'Files of certificates that were read again: those in force were replaced, or the files could not be used.',
    labelNames: ['outcome'],
    registers: [registry],
  });
  // An alarm needs the counter before the first failure.
  for (const outcome of ['replaced', 'failed']) counter.inc({ outcome }, 0);
  return (outcome) => counter.inc({ outcome });
}
