/** Adds subjects that are already enrolled from the same templates to further galleries. */
import type { EnrollRequest, Subject } from '../contract/generated/ridgewatch/v1/gallery.ts';
import type { ServiceClient } from './client.ts';
import { hasLife, type Life } from './life-options.ts';
import { CallFailed } from './failure-output.ts';

const PAGE_SIZE = 200;

/** Result for one subject: its id, or why it was left unchanged. */
export type Added = { readonly subjectId: string; readonly changed: boolean } | { readonly why: string };

/**
 * Adds subjects to the galleries of their requests. They stay in their present galleries.
 * @param requests - of one contributor; refused by the service because the subjects exist, with the same templates
 * @param life - limits that the subjects must have
 */
export async function addToGalleries(
  client: ServiceClient,
  requests: readonly EnrollRequest[],
  life: Life = {},
): Promise<Map<EnrollRequest, Added>> {
  const wanted = new Map(requests.map((request) => [request.data?.externalId ?? '', request]));
  const added = new Map<EnrollRequest, Added>();
  const contributor = requests[0]?.data?.contributor ?? '';
  let pageToken = '';
  do {
    const page = await client.listSubjects({ gallery: '', contributor, pageSize: PAGE_SIZE, pageToken });
    for (const subject of page.subjects) {
      const request = wanted.get(subject.data?.externalId ?? '');
      if (request === undefined) continue;
      added.set(request, await addOne(client, subject, request, life));
    }
    pageToken = page.nextPageToken;
  } while (pageToken !== '' && added.size < wanted.size);
  return added;
}

async function addOne(
  client: ServiceClient,
  subject: Subject,
  { data: asked }: EnrollRequest,
  life: Life,
): Promise<Added> {
  const { subjectId, version, data } = subject;
  if (data === undefined || asked === undefined) return { why: 'The service did not return the subject.' };
  const sameCaveats = [...data.caveats].sort().join() === [...asked.caveats].sort().join();
  if (!sameCaveats || data.provenance !== asked.provenance) {
    return { why: 'It is already enrolled from the same templates, but with other caveats or another provenance.' };
  }
  if (!hasLife(data, life))
    return {
      why: 'It is already enrolled from the same templates, with other limits or another handling: ridgewatch update changes these.',
    };
  const galleries = [...new Set([...data.galleries, ...asked.galleries])];
  if (galleries.length === data.galleries.length) return { subjectId, changed: false };
  try {
    await client.update({
      subjectId,
      expectedVersion: version,
      data: { ...data, galleries },
      samples: [],
      updateMask: ['data.galleries'],
    });
    return { subjectId, changed: true };
  } catch (error) {
    if (error instanceof CallFailed && error.status.reason !== undefined) return { why: error.message };
    throw error;
  }
}
