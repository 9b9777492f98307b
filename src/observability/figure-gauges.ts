import { Gauge, type Registry } from 'prom-client';

/** @returns makes a gauge of one of the figures. @param figures - called for each rendering */
export function figureGauges<Figures>(registry: Registry, figures: () => Figures) {
  return (name: string, help: string, value: (now: Figures) => number): void => {
    new Gauge({
      name,
      help,
      registers: [registry],
      collect() {
        this.set(value(figures()));
      },
    });
  };
}
