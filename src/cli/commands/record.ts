import Table from 'cli-table3';
import {
  Provenance,
  Subject,
  UpdateSubjectResponse,
  type SubjectData,
} from '../../contract/generated/ridgewatch/v1/gallery.ts';
import { toProtoJson } from '../../contract/proto-json.ts';
import { provenanceName, provenanceToWire } from '../../contract/wire-names.ts';
import { Failure } from '../../failure.ts';
import { UNLIMITED, type Provenance as ProvenanceName } from '../../store/records.ts';
import { EXIT } from '../exit-codes.ts';
import { handlingLine, lifeOf, type LifeOptions } from '../life-options.ts';
import { printResult } from '../output.ts';
import type { ConnectionOptions } from '../shared-options.ts';
import { withService } from './client.ts';

interface UpdateOptions extends ConnectionOptions, LifeOptions {
  readonly resumed?: boolean;
  readonly gallery?: readonly string[];
  readonly caveat?: readonly string[];
  readonly provenance?: ProvenanceName;
  readonly expectedVersion?: number;
}

/** Shows a record, as its owner or as one who may see it. */
export function show([subjectId = '']: string[], options: ConnectionOptions): Promise<number> {
  return withService(options, async (client) => {
    const { subject } = await client.getSubject({ subjectId });
    if (subject === undefined) throw new Error('the answer has no subject');
    printResult(options, documentOf(Subject.toJSON(subject)), textOf(subject));
    return EXIT.ok;
  });
}

/** Changes the named fields of a record. */
export function update([subjectId = '']: string[], options: UpdateOptions): Promise<number> {
  const changes = changesOf(options);
  const updateMask = Object.keys(changes).map((name) => `data.${toSnake(name)}`);
  if (updateMask.length === 0) throw new Failure('invalid-argument', 'USAGE', 'Name what is to be changed.');
  const none = {
    contributor: '',
    externalId: '',
    galleries: [],
    caveats: [],
    provenance: Provenance.UNSPECIFIED,
    ...UNLIMITED,
  };
  const data: SubjectData = { ...none, ...changes };
  return withService(options, async (client) => {
    const { expectedVersion = 0 } = options;
    const response = await client.update({ subjectId, expectedVersion, data, samples: [], updateMask });
    const { subject, warnings } = response;
    for (const { code, message } of warnings) process.stderr.write(`Warning ${code}: ${message}\n`);
    const text = subject === undefined ? '' : textOf(subject);
    printResult(options, documentOf(UpdateSubjectResponse.toJSON(response)), text);
    return EXIT.ok;
  });
}

function changesOf(options: UpdateOptions): Partial<SubjectData> {
  const { resumed, suspended, gallery, caveat, provenance } = options;
  if (resumed === true && suspended === true)
    throw new Failure('invalid-argument', 'USAGE', '--suspended and --resumed exclude each other.');
  return {
    ...lifeOf(options),
    ...(resumed === true && { suspended: false }),
    ...(gallery !== undefined && { galleries: [...gallery] }),
    ...(caveat !== undefined && { caveats: caveat.filter((code) => code !== '') }),
    ...(provenance !== undefined && { provenance: provenanceToWire(provenance) }),
  };
}

function textOf({ subjectId, version, data, references, createTime, updateTime }: Subject): string {
  const table = new Table({ style: { head: [], border: [] }, wordWrap: true, colWidths: [16, 84] });
  const row = (name: string, value: string | undefined) => value !== undefined && table.push([name, value]);
  const at = (time: Date | undefined) => time?.toISOString();
  row('subject', subjectId);
  row('version', String(version));
  row('contributor', data?.contributor);
  row('external id', data?.externalId || undefined);
  row('galleries', data?.galleries.join(' '));
  row('caveats', data?.caveats.join(' ') || undefined);
  row('provenance', data && provenanceName(data.provenance));
  row('expires', at(data?.expireTime));
  row('review by', at(data?.reviewTime));
  row('suspended', data?.suspended === true ? 'yes: no search finds it' : undefined);
  row('minor until', at(data?.minorUntil));
  row('at a hit', data?.handling && handlingLine(data.handling));
  row('references', String(references.length));
  row('enrolled', at(createTime));
  row('changed', at(updateTime));
  return table.toString();
}

function documentOf(message: unknown): object {
  return toProtoJson(message) as object;
}

function toSnake(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
