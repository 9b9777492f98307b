/**
 * Indexed search of real faces: what it misses of the mates that an exact search ranks first. The first image of each
 * person is enrolled among synthetic strangers, every other image is a probe. Exact and indexed by turns, in one
 * process.
 *
 *   npm run bench -- face-index --data DIR [--subjects 100000] [--strangers gaussian,mixture,twins]
 *     [--images 25] [--workers 1] [--json]
 *
 * --data: a folder with embeddings.f32 and embeddings.tsv. --images: most probes of a person. The models of strangers
 * share the probes and the people, so their results are not independent and must not be added up.
 */
import { parseArgs } from 'node:util';
import { binomialLimits } from '../../src/matching/rates/binomial-limits.ts';
import { kernelHash } from '../../src/matching/kernels/kernels.ts';
import { ExactScan } from '../../src/matching/search/exact-scan.ts';
import { FaceCoding } from '../../src/matching/search/face-coding.ts';
import { IndexedScan } from '../../src/matching/search/indexed-scan.ts';
import { prepareProbes } from '../../src/matching/search/probe.ts';
import { WorkerPool } from '../../src/matching/workers/worker-pool.ts';
import { searchAll } from '../gallery/search.ts';
import { emptyGallery, enrol } from '../gallery/synthetic-gallery.ts';
import { medianOf } from '../harness/spread.ts';
import { inWords } from '../harness/words.ts';
import { drawStrangers, STRANGER_MODELS, type StrangerModel } from '../people/face-strangers.ts';
import { facesOfPeople, quantised } from '../people/real-faces.ts';
import { faceTemplate } from '../people/synthetic-face.ts';

const { values: options } = parseArgs({
  options: {
    data: { type: 'string' },
    subjects: { type: 'string', default: '100000' },
    strangers: { type: 'string', default: STRANGER_MODELS.join(',') },
    images: { type: 'string', default: '25' },
    workers: { type: 'string', default: '1' },
    json: { type: 'boolean', default: false },
  },
});
if (options.data === undefined) {
  console.error('--data DIR is required: a folder with embeddings.f32 and embeddings.tsv.');
  process.exit(2);
}
const models = options.strangers.split(',').map(requireModel);
const [subjects, images, workers] = [options.subjects, options.images, options.workers].map(Number);
const { people } = facesOfPeople(options.data);
const real = people.map(([embedding, ...others]) => ({ embedding, isSearched: others.length > 0 }));
const probes = people.flatMap((own, person) => own.slice(1, 1 + images).map((image) => ({ person, image })));
const rows = [];
for (const model of models) rows.push(await measure(model));
if (options.json) console.log(JSON.stringify({ kernel: kernelHash(), subjects, people: people.length, rows }));
else {
  console.log(`${people.length} real people, ${probes.length} probes, kernels ${kernelHash()}`);
  console.table(inWords(rows));
}

async function measure(model: StrangerModel) {
  const gallery = emptyGallery();
  const dimension = real[0].embedding.length;
  const bytesOf = (face: Int8Array) => new Uint8Array(face.buffer, face.byteOffset, face.byteLength);
  const strangers = drawStrangers(real, Math.max(0, subjects - real.length), quantised, model);
  // The directions of the codes are learned from the first subjects by id: from strangers only.
  for (let row = 0; row < strangers.length / dimension; row++)
    enrol(gallery, `a${row}`, [], bytesOf(strangers.slice(row * dimension, (row + 1) * dimension)));
  real.forEach(({ embedding }, person) => enrol(gallery, `p${person}`, [], bytesOf(quantised(embedding))));
  gallery.startAt(1);
  const pool = new WorkerPool(workers);
  try {
    const coding = new FaceCoding({ current: gallery }, pool, (error) => {
      throw error;
    });
    await coding.run();
    const sources = { exact: new ExactScan(pool), indexed: new IndexedScan(pool) };
    const cpu: Record<keyof typeof sources, number[]> = { exact: [], indexed: [] };
    let [judged, lost, elsewhere] = [0, 0, 0];
    for (const { person, image } of probes) {
      const template = faceTemplate(image);
      const prepared = await prepareProbes(pool, [{ sampleIndex: 0, viewIndex: 0, template }]);
      const first = { exact: '', indexed: '' };
      for (const way of ['exact', 'indexed'] as const) {
        const before = process.cpuUsage();
        const { candidates, mode } = await searchAll(gallery, pool, prepared, () => sources[way]);
        const { user, system } = process.cpuUsage(before);
        cpu[way].push((user + system) / 1000);
        first[way] = candidates[0]?.subject.subjectId ?? '';
        if (mode !== way) elsewhere++;
      }
      if (first.exact !== `p${person}`) continue;
      judged++;
      if (first.indexed !== first.exact) lost++;
    }
    return {
      strangers: model,
      'subjects in the gallery': gallery.storedSubjectCount,
      'mates an exact search ranks first': judged,
      'lost by the index': lost,
      'share found': 1 - lost / Math.max(1, judged),
      'lower limit': 1 - binomialLimits(lost, judged, 0.05)[1],
      'CPU ms, exact': medianOf(cpu.exact),
      'CPU ms, indexed': medianOf(cpu.indexed),
      'searches in another mode': elsewhere,
    };
  } finally {
    await pool.close();
  }
}

function requireModel(name: string): StrangerModel {
  const model = STRANGER_MODELS.find((one) => one === name);
  if (model !== undefined) return model;
  console.error(`--strangers: ${name} is none of ${STRANGER_MODELS.join(', ')}.`);
  process.exit(2);
}
