import { Failure } from '../failure.ts';
import type { Change, ReferenceRecord, SubjectWithReferences } from '../store/records.ts';
import type { Gallery } from './gallery.ts';
import type { ServedGallery } from './served-gallery.ts';
import { attributesOf, packStored, searchable, type PackTemplates } from './stored-records.ts';

/** What the follower needs of the store. */
export interface ChangeSource {
  readChanges(afterSeq: number, limit: number): Promise<readonly Change[]>;
  loadSubjects(ids: readonly string[]): Promise<readonly SubjectWithReferences[]>;
  snapshot(
    onBatch: (subjects: readonly SubjectWithReferences[], seq: number) => Promise<void>,
    batchSize: number,
  ): Promise<{ readonly seq: number; readonly subjectCount: number }>;
}

/** Packed references by reference id: what an enrolment prepared already and need not be read back. */
export type PackedReferences = ReadonlyMap<string, Uint8Array>;

/** Changes read from the store in one go. */
const CHANGES_PER_READ = 500;
const SUBJECTS_PER_BATCH = 500;

/**
 * Keeps the gallery in step with the store's change sequence. The sequence is the only way in which the gallery learns
 * of a change, whoever made it: an enrolment of this process, a restart, or another process on the same database.
 */
export class ChangeFollower {
  readonly #served: ServedGallery;
  readonly #source: ChangeSource;
  readonly #pack: PackTemplates;
  readonly #prepared = new Map<string, Uint8Array>();
  #turn: Promise<void> = Promise.resolve();

  constructor(served: ServedGallery, source: ChangeSource, pack: PackTemplates) {
    this.#served = served;
    this.#source = source;
    this.#pack = pack;
  }

  /**
   * Loads everything as it stands in the store into the gallery that is served. Only once, and while it is empty.
   * @param onProgress - told the number of subjects loaded so far
   */
  async start(onProgress: (subjects: number) => void): Promise<void> {
    const gallery = this.#served.current;
    let loaded = 0;
    const { seq } = await this.#source.snapshot(async (subjects) => {
      const packed = await this.#packMissing(gallery, subjects);
      for (const subject of subjects) {
        gallery.load(subject.subject.subjectId, attributesOf(subject), searchable(subject, packed));
      }
      loaded += subjects.length;
      onProgress(loaded);
    }, SUBJECTS_PER_BATCH);
    gallery.startAt(seq);
  }

  /**
   * Applies every change up to `sequence` and resolves when searches see it. Calls queue up: changes are applied in the
   * order of the sequence, whatever the order in which their transactions were heard of.
   * @param prepared - packed references of the change that led to this call
   */
  advanceTo(sequence: number, prepared: PackedReferences = new Map()): Promise<void> {
    for (const [referenceId, packed] of prepared) this.#prepared.set(referenceId, packed);
    const turn = this.#turn.then(() => this.#advance(this.#served.current, sequence));
    // The next in line must not fail because this one did: it reads the store again.
    this.#turn = turn.catch(() => undefined);
    return turn.finally(() => {
      for (const referenceId of prepared.keys()) this.#prepared.delete(referenceId);
    });
  }

  /**
   * Puts another gallery in the place of the one that is served: brings it up to the last change, and switches between
   * two changes.
   * @param gallery - loaded, as of any change
   * @returns resolves when the old one is gone, too
   */
  async switchTo(gallery: Gallery): Promise<void> {
    // Far behind at first, and nobody waits for it; the few changes that come meanwhile are applied in turn.
    await this.#advance(gallery, this.#served.current.version);
    let gone: Promise<void> | undefined;
    const turn = this.#turn.then(async () => {
      const { current } = this.#served;
      // Searches of the old one must not find who is gone from the new one. At the start there is nobody in it.
      if (current.version > 0) await this.#advance(current, gallery.version);
      await this.#advance(gallery, current.version);
      gallery.expireDue(Date.now());
      gone = this.#served.replace(gallery);
    });
    this.#turn = turn.catch(() => undefined);
    await turn;
    await gone;
  }

  async #advance(gallery: Gallery, sequence: number): Promise<void> {
    while (gallery.version < sequence) {
      const changes = await this.#source.readChanges(gallery.version, CHANGES_PER_READ);
      if (changes.length === 0) {
        throw new Failure('internal', 'CHANGE_MISSING', 'The change sequence of the store has a hole.');
      }
      const upserts = [...new Set(changes.filter(({ kind }) => kind === 'upsert').map(({ subjectId }) => subjectId))];
      const subjects = upserts.length === 0 ? [] : await this.#source.loadSubjects(upserts);
      const packed = await this.#packMissing(gallery, subjects);
      const byId = new Map(subjects.map((subject) => [subject.subject.subjectId, subject]));
      for (const { seq, kind, subjectId } of changes) {
        const subject = byId.get(subjectId);
        // A subject that is gone by now was expunged by a later change: what lies between was never to be seen.
        if (kind === 'expunge' || subject === undefined) {
          gallery.apply(seq, { kind: 'expunge', subjectId });
          this.#served.hide(subjectId);
        } else {
          const references = searchable(subject, packed);
          gallery.apply(seq, { kind: 'upsert', subjectId, attributes: attributesOf(subject), references });
        }
      }
    }
  }

  /** Packs the references that neither the gallery holds nor an enrolment prepared. */
  async #packMissing(gallery: Gallery, subjects: readonly SubjectWithReferences[]): Promise<PackedReferences> {
    const packed = new Map<string, Uint8Array>();
    const missing: ReferenceRecord[] = [];
    for (const { subject, references } of subjects) {
      for (const reference of references) {
        const { referenceId, comparable } = reference;
        if (!comparable || gallery.holds(subject.subjectId, referenceId)) continue;
        const prepared = this.#prepared.get(referenceId);
        if (prepared === undefined) missing.push(reference);
        else packed.set(referenceId, prepared);
      }
    }
    await packStored(this.#pack, missing, packed);
    return packed;
  }
}
