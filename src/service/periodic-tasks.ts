import type { ClientDirectory } from '../access/client-directory.ts';
import type { Gatekeeper } from '../access/gatekeeper.ts';
import type { PoliciesInForce } from '../access/policy-set.ts';
import type { ChangeFollower } from '../gallery/change-follower.ts';
import type { Compactor } from '../gallery/compactor.ts';
import type { CurrentGallery } from '../gallery/active-gallery.ts';
import { Failure } from '../failure.ts';
import type { CandidateGraphs } from '../matching/graph/candidate-graphs.ts';
import type { FaceCoding } from '../matching/search/face-coding.ts';
import type { FaceSpectra } from '../matching/search/face-spectra.ts';
import type { ListTuning } from '../matching/tuning/list-tuning.ts';
import type { IndexSwitcher } from '../index-files/index-switcher.ts';
import type { Logger } from '../observability/logging.ts';
import type { Readiness } from '../observability/readiness.ts';
import type { Keys } from '../security/keys.ts';
import type { ReceiptSigner } from '../security/receipts.ts';
import type { HitBell } from '../sharing/hit-bell.ts';
import type { Store } from '../store/store.ts';
import type { SafeguardHistory } from './safeguard-history.ts';
import type { StoreCondition } from '../store/store-health.ts';

/** In milliseconds. */
const INTERVAL_MS = 1000;

export interface PeriodicParts {
  readonly store: Store;
  readonly directory: ClientDirectory;
  readonly gatekeeper: Gatekeeper;
  readonly policies: PoliciesInForce;
  readonly keys: Keys;
  readonly served: CurrentGallery;
  readonly follower: ChangeFollower;
  readonly switcher: IndexSwitcher;
  readonly compactor: Compactor;
  readonly faceCoding: FaceCoding;
  readonly spectra: FaceSpectra;
  readonly history: Pick<SafeguardHistory, 'run'>;
  readonly tuning: ListTuning;
  /** Undefined: none are built. */
  readonly graphs: CandidateGraphs | undefined;
  /** Signs the receipts of probes that are destroyed. */
  readonly signer: ReceiptSigner;
  /** Wakes streams of hits. */
  readonly bell: HitBell;
  readonly readiness: Readiness;
  readonly log: Logger;
}

/**
 * Runs every second: reads the key file again, follows changes by other processes, of clients and of what they have spent, probes the store, switches to a
 * newly published index, compacts sparse segments, ends cases, codes faces, learns spectra of faces, measures list lengths, builds graphs. A task never
 * overlaps itself, and a failing task does not stop the others.
 */
export class PeriodicTasks {
  readonly #parts: PeriodicParts;
  #timer: NodeJS.Timeout | undefined;
  #isReadingHead = false;
  #isReadingClients = false;
  #isReadingPolicies = false;
  #isEndingCases = false;
  /** The reported fault of the folder of policies. */
  #policyFault = '';
  /** The current key that was last logged. */
  #keyId: string;

  constructor(parts: PeriodicParts) {
    this.#parts = parts;
    this.#keyId = parts.keys.ring.currentId;
  }

  start(): void {
    this.#listen();
    this.#timer = setInterval(() => this.#run(), INTERVAL_MS);
    this.#timer.unref();
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    const { compactor, faceCoding, spectra, tuning, graphs } = this.#parts;
    await Promise.all([compactor.stop(), faceCoding.stop(), spectra.stop(), tuning.stop(), graphs?.stop()]);
  }

  #run(): void {
    const { keys, store, switcher, compactor, faceCoding, spectra, history, tuning, graphs, log } = this.#parts;
    const unread = keys.refresh();
    if (unread !== undefined) log.warn({ err: unread }, 'the key file cannot be read again; the keys stay as they are');
    this.#tellKey();
    void this.#followHead();
    void this.#followClients();
    void this.#followPolicies();
    this.#listen();
    void store.health.check((condition) => this.#tell(condition));
    switcher
      .follow()
      .then((switched) => switched && log.info({ index: switcher.index?.name }, 'switched to another index'))
      .catch((error: unknown) =>
        log.warn({ err: error }, 'the published index is refused; the gallery stays as it is'),
      );
    void compactor.run();
    void faceCoding.run();
    void spectra.run();
    void history.run();
    void this.#endCases();
    void tuning.run();
    void graphs?.run();
  }

  /** A bad folder leaves the policies in force; each of its states is reported once. */
  async #followPolicies(): Promise<void> {
    const { policies, log } = this.#parts;
    if (this.#isReadingPolicies) return;
    this.#isReadingPolicies = true;
    try {
      if (await policies.reload())
        log.info(
          { policy_hash: policies.current.hash, replaced: policies.current.texts.replaced },
          'other policies are in force',
        );
      this.#policyFault = '';
    } catch (error) {
      const { message } = error as Error;
      if (message !== this.#policyFault)
        log.error({ err: error }, 'the policies cannot be used; those before stay in force');
      this.#policyFault = message;
    } finally {
      this.#isReadingPolicies = false;
    }
  }

  /** What other processes changed about clients. Calls of credentials that have expired meanwhile are ended as well. */
  async #followClients(): Promise<void> {
    const { directory, gatekeeper } = this.#parts;
    gatekeeper.review();
    if (this.#isReadingClients) return;
    this.#isReadingClients = true;
    try {
      await directory.refresh();
    } catch {
      // The health of the store is reported elsewhere. The known clients stay in force.
    } finally {
      this.#isReadingClients = false;
    }
  }

  /** Cases whose time is up. */
  async #endCases(): Promise<void> {
    const { store, signer, log } = this.#parts;
    if (this.#isEndingCases) return;
    this.#isEndingCases = true;
    try {
      const count = await store.cases.expire(new Date(), (destroyed) => signer.signProbe(destroyed));
      if (count > 0) log.info({ case_count: count }, 'cases have expired; their probes are destroyed');
    } catch (error) {
      // The health of the store is reported elsewhere, and no call treats an expired case as open.
      if (!(error instanceof Failure)) log.error({ err: error }, 'cases cannot expire');
    } finally {
      this.#isEndingCases = false;
    }
  }

  /** Keys are rotated by another process. The log line shows that this process uses the new key. */
  #tellKey(): void {
    const { keys, log } = this.#parts;
    const { currentId } = keys.ring;
    if (currentId === this.#keyId) return;
    this.#keyId = currentId;
    log.info({ key_id: currentId }, 'encrypts with another key from now on');
  }

  /** Notifications announce changes. In case some were missed, the number of the last change is read too. */
  #listen(): void {
    void this.#parts.store.listener.ensure({
      onChange: (head) => this.#followTo(head),
      onClients: () => void this.#followClients(),
      onHits: (agency) => this.#parts.bell.ring(agency),
    });
  }

  /** A slow store is not queried again before it has answered. */
  async #followHead(): Promise<void> {
    if (this.#isReadingHead) return;
    this.#isReadingHead = true;
    try {
      this.#followTo(await this.#parts.store.subjects.headSequence());
    } catch (error) {
      this.#lost(error);
    } finally {
      this.#isReadingHead = false;
    }
  }

  #followTo(head: number): void {
    const { served, follower } = this.#parts;
    if (head > served.current.version) follower.advanceTo(head).catch((error: unknown) => this.#lost(error));
  }

  #lost(error: unknown): void {
    this.#parts.log.warn({ err: error }, 'changes of the store cannot be followed; searches continue');
  }

  #tell({ isReachable, isWritable, trouble }: StoreCondition): void {
    const { readiness, log } = this.#parts;
    readiness.store(trouble?.message ?? '');
    const facts = {
      store_reachable: isReachable,
      store_writable: isWritable,
      ...(trouble && { reason: trouble.reason }),
    };
    if (trouble === undefined) log.info(facts, 'the store takes changes again');
    else log.warn(facts, 'the store takes no changes; searches continue');
  }
}
