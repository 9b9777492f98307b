import { Purpose, IdentifyResponse } from '../../contract/generated/ridgewatch/v1/identification.ts';
import { DEMO_CONTRIBUTOR, DEMO_GALLERY, demoPerson, demoSamples } from '../../service/demo-gallery.ts';
import { Failure } from '../../failure.ts';
import { renderCandidates } from '../candidate-table.ts';
import { ServiceClient } from '../client.ts';
import { EXIT } from '../exit-codes.ts';
import { toProtoJson } from '../../contract/proto-json.ts';
import { connectionOf, type ConnectionOptions } from '../shared-options.ts';

/** Index of the enrolled traveller, and distance of the other traveller from the end of the gallery. */
const MATED_INDEX = 17;
const BEYOND = 500;

/** Searches the demo gallery for an enrolled traveller and for one who is not enrolled. */
export async function demo(_args: string[], options: ConnectionOptions): Promise<number> {
  const client = new ServiceClient(connectionOf(options));
  try {
    const size = await demoSize(client);
    const mate = await mateOf(client, MATED_INDEX);
    const travellers = [];
    for (const { index, mated } of [
      { index: Math.min(MATED_INDEX, size - 1), mated: true },
      { index: size + BEYOND, mated: false },
    ]) {
      const response = await client.identify({
        samples: demoSamples(demoPerson(index), 1),
        galleries: [DEMO_GALLERY],
        maxCandidates: 5,
        threshold: undefined,
        exact: false,
        purpose: Purpose.TEST,
        checkpointId: 'demo',
        clientRequestId: '',
      });
      travellers.push({ mated, mate: mated ? mate : undefined, response });
    }
    if (options.json) {
      const document = travellers.map(({ mated, response }) => ({
        mated,
        response: toProtoJson(IdentifyResponse.toJSON(response)),
      }));
      process.stdout.write(`${JSON.stringify({ travellers: document })}\n`);
    } else {
      for (const traveller of travellers) process.stdout.write(`${renderTraveller(traveller)}\n\n`);
      process.stdout.write(
        'Next: "ridgewatch enroll DIR" adds your own templates, "ridgewatch identify FILE…" searches with them, "ridgewatch --help" shows all.\n',
      );
    }
    return EXIT.ok;
  } finally {
    client.close();
  }
}

async function demoSize(client: ServiceClient): Promise<number> {
  const { galleries } = await client.status();
  const size = galleries.find(({ gallery }) => gallery === DEMO_GALLERY)?.subjectCount ?? 0;
  if (size > 0) return size;
  const sentence =
    'The service has no demo gallery: start a service on an empty data directory, or with "serve --demo always" on an empty database.';
  throw new Failure('failed-precondition', 'NO_DEMO_GALLERY', sentence);
}

/** Subject id of the enrolled traveller, to check whether the list holds it. */
async function mateOf(client: ServiceClient, index: number): Promise<string | undefined> {
  const wanted = `demo-${index}`;
  let pageToken = '';
  do {
    const page = await client.listSubjects({
      gallery: DEMO_GALLERY,
      contributor: DEMO_CONTRIBUTOR,
      pageSize: 1000,
      pageToken,
    });
    const found = page.subjects.find(({ data }) => data?.externalId === wanted);
    if (found !== undefined) return found.subjectId;
    pageToken = page.nextPageToken;
  } while (pageToken !== '');
  return undefined;
}

interface Traveller {
  readonly mated: boolean;
  readonly mate: string | undefined;
  readonly response: IdentifyResponse;
}

function renderTraveller({ mated, mate, response }: Traveller): string {
  const title = mated
    ? 'A traveller who is enrolled (new captures of both index fingers and the face):'
    : 'A traveller who is not enrolled:';
  const rank = response.candidates.find(({ subjectId }) => subjectId === mate)?.rank;
  const outcome = !mated
    ? `Returned: ${response.candidates.length} candidates; expected: none.`
    : rank === undefined
      ? 'The mate was missed: it is not among the candidates.'
      : `The mate is candidate ${rank} of ${response.candidates.length}.`;
  return `${title}\n${renderCandidates(response)}\n${outcome}`;
}
