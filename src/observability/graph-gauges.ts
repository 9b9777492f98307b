import { Gauge, type Registry } from 'prom-client';

/** The graph of one partition. */
export interface GraphGauges {
  /** Key of the partition, e.g. `finger:2`. */
  readonly partition: string;
  readonly references: number;
  /** References of the partition that are not in the graph yet. */
  readonly pending: number;
  /** Estimated memory. */
  readonly bytes: number;
  readonly state: 'building' | 'ready' | 'failed';
}

/** Gauges of the graphs that propose candidates. @param graphs - called for each rendering */
export function addGraphGauges(registry: Registry, graphs: () => readonly GraphGauges[]): void {
  const byPartition = (name: string, help: string, value: (graph: GraphGauges) => number) =>
    new Gauge({
      name,
      help,
      labelNames: ['partition'],
      registers: [registry],
      collect() {
        this.reset();
        for (const graph of graphs()) this.set({ partition: graph.partition }, value(graph));
      },
    });
  byPartition('ridgewatch_graph_references', 'References in the graph of a partition.', ({ references }) => references);
  byPartition(
    'ridgewatch_graph_pending_references',
    'References of a partition that are not in its graph yet.',
    ({ pending }) => pending,
  );
  byPartition('ridgewatch_graph_bytes', 'Estimated memory of the graph of a partition.', ({ bytes }) => bytes);
  byPartition('ridgewatch_graph_ready', '1 while searches can use the graph of a partition.', ({ state }) =>
    state === 'ready' ? 1 : 0,
  );
}
