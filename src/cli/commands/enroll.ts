import Table from 'cli-table3';
import { Provenance, type EnrollOutcome, type EnrollRequest } from '../../contract/generated/ridgewatch/v1/gallery.ts';
import { provenanceToWire } from '../../contract/wire-names.ts';
import { readStatus } from '../../api/status.ts';
import { Failure } from '../../failure.ts';
import type { Provenance as ProvenanceName } from '../../store/records.ts';
import { addToGalleries } from '../add-to-galleries.ts';
import { lifeOf, type LifeOptions } from '../life-options.ts';
import { ServiceClient } from '../client.ts';
import { EXIT } from '../exit-codes.ts';
import { requireOneFileEach } from '../flat-folders.ts';
import { progressBar } from '../output.ts';
import { connectionOf, type ConnectionOptions, type TemplateOptions } from '../shared-options.ts';
import { readTemplateFile, requestIdOf, toWireSample } from '../template-files.ts';
import { groupPattern, namesOf, readTemplateFolder, type PassedOver, type SubjectFiles } from '../template-folders.ts';
import { UNLIMITED } from '../../store/records.ts';

interface EnrollOptions extends ConnectionOptions, TemplateOptions, LifeOptions {
  readonly contributor: string;
  readonly gallery?: readonly string[];
  readonly caveat?: readonly string[];
  readonly provenance: ProvenanceName;
  readonly groupBy?: string;
  readonly eachFileAPerson?: boolean;
}

interface Refusal {
  readonly externalId: string;
  readonly files: readonly string[];
  readonly reason: string;
  readonly message: string;
  readonly metadata: Readonly<Record<string, string>>;
}

/** Records per stream: small enough to show progress and to lose little when a connection breaks. */
const RECORDS_PER_STREAM = 200;

/** Maximum number of skipped files that the JSON document names. It counts all of them. */
const MAX_NAMED_FILES = 1000;

interface Enrolled {
  readonly external_id: string;
  readonly subject_id: string;
  /** Whether the subject was already enrolled and has now been added to these galleries. */
  readonly added_to_galleries?: boolean;
  /** Codes of warnings about the templates; omitted if there are none. */
  readonly warnings?: readonly string[];
}

/** Enrols the subjects whose templates are in a folder. */
export async function enroll([folder = '']: string[], options: EnrollOptions): Promise<number> {
  // A wrong option is refused before any file is read.
  lifeOf(options);
  const { subjects, passedOver } = readTemplateFolder(folder, groupPattern(options.groupBy));
  if (options.groupBy === undefined && options.eachFileAPerson !== true) requireOneFileEach(folder, subjects);
  const client = new ServiceClient(connectionOf(options));
  const bar = progressBar('enrolling {bar} {value}/{total} people, {eta_formatted} left', options);
  const refusals: Refusal[] = [];
  const enrolled: Enrolled[] = [];
  bar.start(subjects.length, 0);
  try {
    for (let start = 0; start < subjects.length; start += RECORDS_PER_STREAM) {
      await enrollChunk(client, subjects.slice(start, start + RECORDS_PER_STREAM), options, enrolled, refusals);
      bar.update(Math.min(subjects.length, start + RECORDS_PER_STREAM));
    }
  } finally {
    bar.stop();
    client.close();
  }
  if (options.json) {
    const refused = refusals.map(({ externalId, ...rest }) => ({ external_id: externalId, ...rest }));
    const document = {
      enrolled_count: enrolled.length,
      refused_count: refused.length,
      passed_over_count: passedOver.length,
      enrolled,
      refused,
      passed_over: passedOver.slice(0, MAX_NAMED_FILES),
    };
    process.stdout.write(`${JSON.stringify(document)}\n`);
  } else {
    process.stdout.write(`${[summary(enrolled, refusals), ...remarks(enrolled, passedOver)].join('\n')}\n`);
  }
  return refusals.length > 0 ? EXIT.partlyRefused : EXIT.ok;
}

async function enrollChunk(
  client: ServiceClient,
  subjects: readonly SubjectFiles[],
  options: EnrollOptions,
  enrolled: Enrolled[],
  refusals: Refusal[],
): Promise<void> {
  const readable: { subject: SubjectFiles; request: EnrollRequest }[] = [];
  for (const subject of subjects) {
    try {
      readable.push({ subject, request: toRequest(subject, options) });
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      refusals.push({ ...subject, reason: error.reason, message: error.message, metadata: {} });
    }
  }
  if (readable.length === 0) return;
  const { outcomes, newGalleries } = await client.enrollStream(readable.map(({ request }) => request));
  if (newGalleries.length > 0)
    process.stderr.write(`No subject belonged to these galleries before: ${newGalleries.join(', ')}.\n`);
  // The request id is made of the person and the templates: an id reused with other content is the same person again.
  const present = readable.filter((_, i) => reasonOf(outcomes[i]) === 'CLIENT_REQUEST_ID_REUSED');
  const added = await addToGalleries(
    client,
    present.map(({ request }) => request),
    lifeOf(options),
  );
  readable.forEach(({ subject, request }, i) => {
    const again = added.get(request);
    if (again !== undefined && 'subjectId' in again) {
      const ids = { external_id: subject.externalId, subject_id: again.subjectId };
      enrolled.push(again.changed ? { ...ids, added_to_galleries: true } : ids);
      return;
    }
    const outcome = outcomes[i]?.outcome;
    if (outcome?.$case === 'subjectId') {
      const { warnings = [] } = outcomes[i] ?? {};
      const ids = { external_id: subject.externalId, subject_id: outcome.value };
      enrolled.push(warnings.length === 0 ? ids : { ...ids, warnings });
    } else {
      const status = outcome?.$case === 'error' ? readStatus(outcome.value) : undefined;
      const { reason = 'UNKNOWN', message = 'The service gave no outcome.', metadata = {} } = status ?? {};
      refusals.push({ ...subject, reason, message: again?.why ?? explained(reason, message), metadata });
    }
  });
}

function reasonOf(outcome: EnrollOutcome | undefined): string | undefined {
  return outcome?.outcome?.$case === 'error' ? readStatus(outcome.outcome.value).reason : undefined;
}

/** Appends the remedy to a message that does not state it. */
function explained(reason: string, message: string): string {
  if (reason !== 'EXTERNAL_ID_TAKEN') return message;
  return `${message} It was enrolled from other templates. UpdateSubject replaces templates and adds galleries.`;
}

function toRequest({ externalId, files }: SubjectFiles, options: EnrollOptions): EnrollRequest {
  const templates = files.map((file) => readTemplateFile(file, { model: options.model, position: options.position }));
  return {
    data: {
      contributor: options.contributor,
      externalId,
      galleries: [...(options.gallery ?? ['default'])],
      caveats: [...(options.caveat ?? [])],
      provenance: provenanceToWire(options.provenance) ?? Provenance.UNSPECIFIED,
      ...UNLIMITED,
      ...lifeOf(options),
    },
    samples: templates.map(toWireSample),
    clientRequestId: requestIdOf(options.contributor, externalId, templates),
  };
}

/** Lines about skipped files and about warnings on enrolled templates. */
function remarks(enrolled: readonly Enrolled[], passedOver: readonly PassedOver[]): string[] {
  const lines = passedOver.length === 0 ? [] : [`Skipped ${passedOver.length}: ${namesOf(passedOver, 50)}.`];
  const codes = Map.groupBy(
    enrolled.flatMap(({ warnings = [] }) => warnings),
    (code) => code,
  );
  for (const [code, times] of codes) lines.push(`Warning ${code}, ${times.length} times; docs/errors.md explains it.`);
  return lines;
}

function summary(enrolled: readonly Enrolled[], refusals: readonly Refusal[]): string {
  const added = enrolled.filter(({ added_to_galleries }) => added_to_galleries).length;
  const before = added === 0 ? '' : ` ${added} of them were already enrolled and have been added to these galleries.`;
  const first = `Enrolled ${enrolled.length} people; refused ${refusals.length}.${before}`;
  if (refusals.length === 0) return first;
  const table = new Table({
    head: ['person', 'files', 'reason', 'what is wrong'],
    style: { head: [], border: [] },
    wordWrap: true,
  });
  for (const { externalId, files, reason, message } of refusals)
    table.push([externalId, files.length, reason, message]);
  return `${first}\n${table.toString()}`;
}
