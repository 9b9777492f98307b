import { Failure } from '../failure.ts';
import type {
  Change,
  DamagedReference,
  ReferenceRecord,
  SubjectsRead,
  SubjectWithReferences,
} from '../store/records.ts';
import type { Gallery, GalleryChange, SearchableReference } from './gallery.ts';
import { DamagedChanges } from './damaged-changes.ts';
import { Quarantine } from './quarantine.ts';
import type { ClassAttributes } from './record-classes.ts';
import type { ActiveGallery } from './active-gallery.ts';
import { attributesOf, packStored, searchable, type PackTemplates } from './stored-records.ts';

/** The follower's view of the store. */
export interface ChangeSource {
  readChanges(afterSeq: number, limit: number): Promise<readonly Change[]>;
  readSubjects(ids: readonly string[]): Promise<SubjectsRead>;
  /** The names of all galleries that ever had a subject. */
  galleries(): Promise<readonly string[]>;
  snapshot(
    onBatch: (
      subjects: readonly SubjectWithReferences[],
      seq: number,
      unreadable?: readonly DamagedReference[],
    ) => Promise<void>,
    batchSize: number,
  ): Promise<{ readonly seq: number; readonly subjectCount: number }>;
}

/** Packed references by reference id: prepared by an enrolment, so that they need not be read back. */
export type PackedReferences = ReadonlyMap<string, Uint8Array>;

/** Changes read from the store at a time. */
const CHANGES_PER_READ = 500;
const SUBJECTS_PER_BATCH = 500;

/**
 * Keeps the gallery in step with the store's change sequence. The gallery learns of changes only from this sequence,
 * whatever their origin: an enrolment of this process, a restart, or another process on the same database.
 */
export class ChangeFollower {
  readonly #served: ActiveGallery;
  readonly #source: ChangeSource;
  readonly #pack: PackTemplates;
  readonly #quarantine: Quarantine;
  readonly #damagedChanges: DamagedChanges;
  readonly #prepared = new Map<string, Uint8Array>();
  #turn: Promise<void> = Promise.resolve();

  /**
   * @param quarantine - receives damaged references
   * @param damagedChanges - receives rows that are no changes
   */
  constructor(
    served: ActiveGallery,
    source: ChangeSource,
    pack: PackTemplates,
    quarantine = new Quarantine(),
    damagedChanges = new DamagedChanges(),
  ) {
    this.#served = served;
    this.#source = source;
    this.#pack = pack;
    this.#quarantine = quarantine;
    this.#damagedChanges = damagedChanges;
  }

  /**
   * Loads the whole store into the active gallery. To be called once, while the gallery is empty.
   * @param onProgress - called with the number of subjects loaded so far
   */
  async start(onProgress: (subjects: number) => void): Promise<void> {
    const gallery = this.#served.current;
    let loaded = 0;
    const { seq } = await this.#source.snapshot(async (subjects, _, unreadable = []) => {
      this.#quarantine.add(unreadable);
      const packed = await this.#packMissing(gallery, subjects);
      for (const subject of subjects) {
        gallery.load(subject.subject.subjectId, attributesOf(subject), this.#searchable(gallery, subject, packed));
      }
      loaded += subjects.length;
      onProgress(loaded);
    }, SUBJECTS_PER_BATCH);
    await this.#learnGalleries();
    gallery.startAt(seq);
  }

  /**
   * Applies every change up to `sequence`, and resolves when searches see them. Calls are queued: changes are applied
   * in the order of the sequence, whatever the order in which their transactions were reported.
   * @param prepared - packed references of the change that led to this call
   */
  advanceTo(sequence: number, prepared: PackedReferences = new Map()): Promise<void> {
    for (const [referenceId, packed] of prepared) this.#prepared.set(referenceId, packed);
    const turn = this.#turn.then(() => this.#advance(this.#served.current, sequence));
    // The next call must not fail because this one did: it reads the store again.
    this.#turn = turn.catch(() => undefined);
    return turn.finally(() => {
      for (const referenceId of prepared.keys()) this.#prepared.delete(referenceId);
    });
  }

  /**
   * Replaces the active gallery: brings the new one up to the last change, and switches between two changes.
   * @param gallery - loaded, as of any change
   * @returns resolves when the old gallery is released
   */
  async switchTo(gallery: Gallery): Promise<void> {
    await this.#learnGalleries();
    // The long catch-up runs outside the queue and delays no caller. The few later changes are applied in turn.
    await this.#advance(gallery, this.#served.current.version);
    let gone: Promise<void> | undefined;
    const turn = this.#turn.then(async () => {
      const { current } = this.#served;
      // Searches of the old gallery must not find subjects expunged from the new one. At first the old one is empty.
      if (current.version > 0) await this.#advance(current, gallery.version);
      await this.#advance(gallery, current.version);
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
      for (const { seq, damage } of changes) if (damage !== undefined) this.#damagedChanges.note(seq, damage);
      const upserts = [...new Set(changes.filter(isRead).map(({ subjectId }) => subjectId))];
      const none: SubjectsRead = { subjects: [], unreadable: [] };
      const { subjects, unreadable } = upserts.length === 0 ? none : await this.#source.readSubjects(upserts);
      this.#quarantine.add(unreadable);
      const hidden = new Set(unreadable.map(({ subjectId }) => subjectId));
      const packed = await this.#packMissing(gallery, subjects);
      const byId = new Map(subjects.map((subject) => [subject.subject.subjectId, subject]));
      // If a subject has changed again, its state in between is skipped. The names of its galleries are still needed.
      if (changes.some(({ kind, subjectId, version }) => kind === 'upsert' && versionOf(byId, subjectId) !== version))
        await this.#learnGalleries();
      for (const change of changes) {
        const { seq, subjectId } = change;
        const subject = byId.get(subjectId);
        const isForged = change.damage !== undefined;
        // A missing subject was expunged by a later change. The states in between were never visible. A row that is no
        // change says nothing of its subject.
        if (isRead(change) && (hidden.has(subjectId) || (isForged && subject === undefined))) {
          gallery.apply(seq, asItStands(gallery, change));
        } else if (!isRead(change) || subject === undefined) {
          this.#quarantine.set(subjectId, []);
          gallery.apply(seq, { kind: 'expunge', subjectId });
          this.#served.hide(subjectId);
        } else {
          const references = this.#searchable(gallery, subject, packed);
          gallery.apply(seq, { kind: 'upsert', subjectId, attributes: attributesOf(subject), references });
        }
      }
    }
  }

  /** The searchable references of a subject. Damaged ones are entered in the quarantine. */
  #searchable(gallery: Gallery, subject: SubjectWithReferences, { packed, damaged }: Packed): SearchableReference[] {
    const { subjectId } = subject.subject;
    const found = [...(subject.damaged ?? []), ...(damaged.get(subjectId) ?? [])];
    this.#quarantine.set(subjectId, found);
    this.#quarantine.doubtGalleries(subjectId, subject.mayLackGalleries === true);
    const ids = new Set(found.map(({ referenceId }) => referenceId));
    const kept =
      found.length === 0 ? [] : presentOf(gallery, subjectId).filter(({ referenceId }) => ids.has(referenceId));
    return [...searchable(subject, packed, ids), ...kept];
  }

  /** Galleries of a planned change that have never had a subject. Two concurrent changes may get the same name. */
  newAmong(galleries: readonly string[]): string[] {
    return galleries.filter((name) => !this.#served.current.knows(name));
  }

  /**
   * Whether there is room for the record class of a planned enrolment or change. Several at the same time may take the last
   * room together.
   */
  hasRoomForClass(planned: ClassAttributes): boolean {
    return this.#served.classes.fits(planned);
  }

  async #learnGalleries(): Promise<void> {
    this.#served.learnNames(await this.#source.galleries());
  }

  /** Packs the references that neither the gallery holds nor an enrolment prepared. */
  async #packMissing(gallery: Gallery, subjects: readonly SubjectWithReferences[]): Promise<Packed> {
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
    const damaged = await packStored(this.#pack, missing, packed);
    return { packed, damaged: Map.groupBy(damaged, ({ subjectId }) => subjectId) };
  }
}

interface Packed {
  readonly packed: PackedReferences;
  /** References that could not be packed, by subject. */
  readonly damaged: ReadonlyMap<string, readonly DamagedReference[]>;
}

/** The references of a subject that the gallery holds: they were intact when read. */
function presentOf(gallery: Gallery, subjectId: string): SearchableReference[] {
  const { references = [] } = gallery.subject(subjectId) ?? {};
  return references.map(({ referenceId, partition }) => ({ referenceId, partition, packed: undefined }));
}

/**
 * What is kept of an unreadable subject: its present state, which hiding it would be worse than. Unless a genuine change
 * has overtaken that state, of an index from before. Then damage would undo what the change may have been: a suspension,
 * a caveat, a limit in time.
 */
function asItStands(gallery: Gallery, { subjectId, version, damage }: Change): GalleryChange {
  const entry = gallery.subject(subjectId);
  const isOvertaken = damage === undefined && entry !== undefined && entry.attributes.version < version;
  if (entry === undefined || isOvertaken) return { kind: 'expunge', subjectId };
  return { kind: 'upsert', subjectId, attributes: entry.attributes, references: presentOf(gallery, subjectId) };
}

/**
 * Whether the subject of a change is read from the store. That of a row that is no change is, too: a change may have been
 * there, and what is read is proven.
 */
function isRead({ kind, damage }: Change): boolean {
  return kind === 'upsert' || damage !== undefined;
}

function versionOf(subjects: ReadonlyMap<string, SubjectWithReferences>, subjectId: string): number | undefined {
  return subjects.get(subjectId)?.subject.version;
}
