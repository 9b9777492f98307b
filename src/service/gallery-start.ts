import { Failure } from '../failure.ts';
import type { ChangeFollower } from '../gallery/change-follower.ts';
import type { IndexSwitcher } from '../index-files/index-switcher.ts';
import type { Quarantine } from '../gallery/quarantine.ts';
import type { LostRows } from '../store/lost-rows.ts';
import type { Logger } from '../observability/logging.ts';
import type { Readiness } from '../observability/readiness.ts';

/** References between two progress lines in the log. */
const LOGGED_EVERY = 100_000;

export interface GalleryStart {
  readonly switcher: IndexSwitcher;
  readonly follower: ChangeFollower;
  /** The number of the store's last change. */
  readonly headSequence: () => Promise<number>;
  /** Finds rows that are missing without an error of the database. */
  readonly lookForLost: () => Promise<LostRows>;
  readonly quarantine: Quarantine;
  readonly readiness: Readiness;
  readonly log: Logger;
}

/**
 * Loads all references into memory: from the published index and the changes since or, if there is no index or it is
 * refused, from the store.
 */
export async function startGallery(start: GalleryStart): Promise<void> {
  const { switcher, follower, headSequence, lookForLost, quarantine, readiness, log } = start;
  readiness.starting('Checking the store for missing rows.');
  const lost = await lookForLost();
  noteLost(lost, quarantine, log);
  readiness.starting('Loading the gallery.');
  if (await loadIndex(start)) {
    readiness.starting('Applying the changes since the index was built.');
    await follower.advanceTo(await headSequence());
    log.info({ index: switcher.index?.name }, 'the gallery was loaded from the index');
    return;
  }
  await follower.start((subjects) => {
    readiness.starting(`Loading the gallery: ${subjects} subjects so far.`);
    log.info({ subjects }, 'loading the gallery');
  });
}

/** Records what the store lacks, even if an index still holds it. */
function noteLost({ references, unreadable, galleries, tables }: LostRows, quarantine: Quarantine, log: Logger): void {
  for (const { table, blocks, rows } of tables)
    log.error(
      { table, blocks: blocks.length, rows },
      'a table of the store lacks rows that its indexes list: ridgewatch store check names them and the remedy',
    );
  quarantine.add([...references, ...unreadable]);
  for (const [subjectId, names] of galleries) if (names.length === 0) quarantine.doubtGalleries(subjectId, true);
}

/** @returns whether an index was loaded */
async function loadIndex({ switcher, readiness, log }: GalleryStart): Promise<boolean> {
  let logged = 0;
  try {
    const onProgress = (references: number, subjects: number) => {
      readiness.starting(`Loading the index: ${references} references, ${subjects} subjects so far.`);
      if (references < logged + LOGGED_EVERY) return;
      logged = references;
      log.info({ reference_count: references }, 'loading the index');
    };
    return await switcher.reload({ onProgress, share: 1 });
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    log.warn({ reason: error.reason, err: error }, 'the index is refused; the gallery is made from the store');
    return false;
  }
}
