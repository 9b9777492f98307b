import { json, type Answer } from '../http/answers.ts';
import type { ReadinessState } from './readiness.ts';

export interface PageSources {
  readiness(): ReadinessState;
  metrics(): Promise<{ readonly contentType: string; readonly body: string }>;
  /** Why the gRPC surface accepts no further client; undefined: it does. */
  obstacle?(): string | undefined;
}

/** Makes the answer of a page. */
type PageContent = () => Answer | Promise<Answer>;

/** For orchestrators and Prometheus: `/livez`, `/readyz`, `/metrics`. */
export function servicePages(sources: PageSources): ReadonlyMap<string, PageContent> {
  return new Map<string, PageContent>([
    ['/livez', () => json(200, { live: true })],
    ['/readyz', () => readyz(sources)],
    [
      '/metrics',
      async () => {
        const { contentType, body } = await sources.metrics();
        return { status: 200, contentType, body };
      },
    ],
  ]);
}

function readyz(sources: PageSources) {
  const { stage, detail, writing, damagedReferences } = sources.readiness();
  const obstacle = stage === 'ready' ? sources.obstacle?.() : undefined;
  const damage = damagedReferences > 0 && { damaged_references: damagedReferences };
  const state = { readiness: stage, detail, ...(!writing && { writing }), ...damage };
  if (obstacle !== undefined) return json(503, { ...state, readiness: 'full', detail: obstacle });
  return json(stage === 'ready' ? 200 : 503, state);
}
