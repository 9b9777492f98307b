/**
 * Searches the gallery with a deadline (1:N), and retries after the delay that the service states.
 *
 *   node docs/examples/node/identify.ts --target-fpir 0.001 docs/examples/templates/later/*
 */
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { call, connect, CONNECTION_OPTIONS, Refused, runExample, sampleOf, type Client } from './ridgewatch.ts';

interface IdentifyResponse {
  readonly requestId: string;
  readonly candidates: readonly {
    readonly subjectId: string;
    readonly rank: number;
    readonly log10Fmr: number;
    readonly band: string;
  }[];
  readonly fpir: number;
  readonly searchMode: string;
  readonly searchedFraction: number;
  readonly subjectsSearched: string;
  readonly truncated: boolean;
  readonly emptyScope: string;
  readonly damagedReferenceCount: number;
  readonly samples: readonly { readonly sampleIndex: number; readonly outcome: string; readonly reason: string }[];
}

/** One search, repeated while the service states a retry delay that ends before the deadline. */
async function identify(client: Client, request: object, deadline: number): Promise<IdentifyResponse> {
  for (;;) {
    try {
      return await call<IdentifyResponse>(client, 'Identify', request, deadline);
    } catch (error) {
      const wait = error instanceof Refused ? error.retryAfterMs : undefined;
      if (wait === undefined || Date.now() + wait >= deadline) throw error;
      console.error(`${(error as Refused).inWords()} Trying again.`);
      await pause(wait);
    }
  }
}

await runExample(async () => {
  const { values, positionals: files } = parseArgs({
    options: {
      ...CONNECTION_OPTIONS,
      gallery: { type: 'string', multiple: true, default: [] },
      model: { type: 'string', default: 'synthetic-512' },
      checkpoint: { type: 'string', default: 'gate-1' },
      'target-fpir': { type: 'string' },
    },
    allowPositionals: true,
  });
  if (files.length === 0) throw new Error('Name the templates of the probe: .iso and .f32 files.');
  const client = connect('Identification', values);
  try {
    const request = {
      samples: files.map((file) => sampleOf(file, values.model)),
      galleries: values.gallery,
      purpose: 'PURPOSE_TEST',
      checkpointId: values.checkpoint,
      // The threshold is an error rate, never a score. Without one, the service's default applies.
      ...(values['target-fpir'] !== undefined && { targetFpir: Number(values['target-fpir']) }),
    };
    const answer = await identify(client, request, Date.now() + Number(values['timeout-ms']));
    show(answer);
  } finally {
    client.close();
  }
});

function show(answer: IdentifyResponse): void {
  const { candidates } = answer;
  console.log(
    `Searched ${answer.subjectsSearched} subjects (${answer.searchMode}); a subject who is not enrolled gets a candidate in ${Number((100 * answer.fpir).toPrecision(2))} % of searches.`,
  );
  for (const { rank, subjectId, log10Fmr, band } of candidates) {
    console.log(`${rank}. ${subjectId}: false match rate 10^${log10Fmr.toFixed(1)}, ${band}`);
  }
  if (candidates.length === 0) console.log('No candidate. This does not say that the person is not enrolled.');
  // A checkpoint must not ignore any of these.
  if (answer.truncated) console.log('More candidates reached the threshold than were requested.');
  if (answer.emptyScope !== 'EMPTY_SCOPE_UNSPECIFIED') console.log(`Nothing was searched: ${answer.emptyScope}.`);
  if (answer.searchedFraction < 1) console.log(`Only ${100 * answer.searchedFraction} % was searched.`);
  if (answer.damagedReferenceCount > 0)
    console.log(`${answer.damagedReferenceCount} references could not be compared.`);
  for (const { sampleIndex, outcome, reason } of answer.samples) {
    if (outcome !== 'SAMPLE_OUTCOME_COMPARED') console.log(`Sample ${sampleIndex} was not used: ${reason}`);
  }
}
