import Table from 'cli-table3';
import {
  CandidateListsState,
  GetStatusResponse,
  Readiness,
  type FaceSpectrum,
  type IndexAuditGroup,
} from '../../contract/generated/ridgewatch/v1/operations.ts';
import { IndexWay } from '../../contract/generated/ridgewatch/v1/identification.ts';
import { Modality } from '../../contract/generated/ridgewatch/v1/sample.ts';
import { percentOf } from '../candidate-table.ts';
import { ServiceClient } from '../client.ts';
import { EXIT } from '../exit-codes.ts';
import { toProtoJson } from '../../contract/proto-json.ts';
import { connectionOf, type ConnectionOptions } from '../shared-options.ts';

/** Shows the content of the service and whether it is ready. */
export async function status(_args: string[], options: ConnectionOptions): Promise<number> {
  const client = new ServiceClient(connectionOf(options));
  try {
    const response = await client.status();
    const document = () => JSON.stringify(toProtoJson(GetStatusResponse.toJSON(response)));
    process.stdout.write(`${options.json ? document() : render(response)}\n`);
    return response.readiness === Readiness.READY ? EXIT.ok : EXIT.notReady;
  } finally {
    client.close();
  }
}

const STAGES: Partial<Record<Readiness, string>> = {
  [Readiness.STARTING]: 'starting',
  [Readiness.READY]: 'ready',
  [Readiness.STOPPING]: 'stopping',
};

const LISTS_STATES: Partial<Record<CandidateListsState, string>> = {
  [CandidateListsState.FIXED]: 'not measured',
  [CandidateListsState.MEASURING]: 'being measured',
};

function percent(share: number): string {
  return `${(100 * share).toFixed(2)} %`;
}

function render(status: GetStatusResponse): string {
  const plain = { head: [], border: [] };
  const partitions = new Table({
    head: ['partition', 'references', 'expired', 'removed', 'segments', 'memory'],
    style: plain,
  });
  for (const {
    modality,
    fingerPosition,
    modelId,
    liveCount,
    expiredCount,
    removedCount,
    segmentCount,
    memoryBytes,
  } of status.partitions) {
    const name = modality === Modality.FACE ? `face ${modelId}` : `finger ${fingerPosition}`;
    partitions.push([
      name,
      liveCount,
      expiredCount,
      removedCount,
      segmentCount,
      `${(memoryBytes / 2 ** 20).toFixed(1)} MiB`,
    ]);
  }
  const galleries = new Table({ head: ['gallery', 'subjects'], style: plain });
  for (const { gallery, subjectCount } of status.galleries) galleries.push([gallery, subjectCount]);
  const lists = new Table({
    head: ['lists for', 'ranked', 'compared', 'hit rate', 'at least', 'probes'],
    style: plain,
  });
  for (const {
    probes,
    state,
    rankedShare,
    comparedShare,
    hitRate,
    hitRateLower,
    probeCount,
  } of status.candidateLists) {
    const isMeasured = state === CandidateListsState.MEASURED;
    const rates = isMeasured
      ? [percent(hitRate), percent(hitRateLower), probeCount]
      : [LISTS_STATES[state] ?? '', '', ''];
    lists.push([probes, percent(rankedShare), percent(comparedShare), ...rates]);
  }
  const models = status.modelVersions.map(
    ({ model, hash, calibration }) => `  ${model}  kernel ${hash}  calibration ${calibration}`,
  );
  return [
    `${STAGES[status.readiness] ?? 'unknown'}${status.detail === '' ? '' : `: ${status.detail}`}`,
    `ridgewatch ${status.programVersion} on Node.js ${status.runtimeVersion}, ${status.workerCount} workers (${status.simdLevel}), up ${status.uptime?.seconds ?? 0} s`,
    `gallery version ${status.galleryVersion}, store version ${status.storeVersion}, schema ${status.schemaVersion}`,
    `${status.subjectCount} subjects, ${status.referenceCount} references, ${status.notComparableCount} not comparable`,
    ...(status.damagedChangeCount === 0
      ? []
      : [`${status.damagedChangeCount} rows of the change sequence were forged: ridgewatch store check says more`]),
    ...(status.damagedClientCount === 0
      ? []
      : [`${status.damagedClientCount} clients are not what was registered: ridgewatch client list names them`]),
    status.indexName === ''
      ? 'no index: the gallery was loaded from the store'
      : `index ${status.indexName}, as of change ${status.indexSequence}`,
    ...status.indexAudits.map(auditLine),
    partitions.toString(),
    galleries.toString(),
    `indexed searches: target hit rate ${percent(status.targetHitRate)}`,
    lists.toString(),
    'models',
    ...models,
    ...status.faceSpectra.map(spectrumLine),
  ].join('\n');
}

/** e.g. `probes of the face model arc-512: held against 3,000 enrolled faces`. */
function spectrumLine({ modelId, faceCount }: FaceSpectrum): string {
  const state =
    faceCount === 0
      ? 'not held against enrolled faces: there are too few, or they are being learned from'
      : `held against ${faceCount.toLocaleString('en')} enrolled faces`;
  return `probes of the face model ${modelId}: ${state}`;
}

/** e.g. `audit of face searches by graph: 2 of 1,200 first candidates missed (at most 0.5 %)`. */
function auditLine({ modalities, way, audit, missesTarget }: IndexAuditGroup): string {
  const names = modalities.map((modality) => (modality === Modality.FACE ? 'face' : 'finger')).join('+');
  const { missed = 0, candidates = 0, missRateUpper = 1 } = audit ?? {};
  const index = way === IndexWay.GRAPH ? 'graph' : 'codes';
  const found = `${missed} of ${candidates.toLocaleString('en')} first candidates missed (at most ${percentOf(missRateUpper)})`;
  const warning = missesTarget ? '; this is more than intended' : '';
  return `audit of ${names} searches by ${index}: ${found}${warning}`;
}
