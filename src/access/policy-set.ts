import type { CedarValueJson, EntityJson, TypeAndId } from '@cedar-policy/cedar-wasm/nodejs';
import { newCedar, type CedarModule } from './cedar-engine.ts';
import { compilePolicies, type CompiledPolicies } from './policy-compiler.ts';
import { readPolicyTexts, type PolicyTexts } from './policy-files.ts';
import type { PolicyReading } from './policy-reading.ts';

/** A decision that could not be made; it was denied. Says nothing about the client or the record. */
export interface DecisionFault {
  /** Of the request or of what is done with a record. */
  readonly action: string;
  /** Ids of the policies that failed; empty: the engine did. */
  readonly policies: readonly string[];
  readonly cause?: unknown;
}

export type OnDecisionFault = (fault: DecisionFault) => void;

/** A question to the policies. */
export interface Question {
  readonly principal: EntityJson;
  readonly action: TypeAndId;
  readonly resource: EntityJson;
  readonly context: Readonly<Record<string, CedarValueJson>>;
}

/** One version of the policies: it never changes. */
export class PolicySet {
  /** SHA-256 of all texts, hexadecimal. */
  readonly hash: string;
  readonly texts: PolicyTexts;
  readonly reading: PolicyReading;
  /** Ids of the policies, e.g. `release/released-to`. */
  readonly policyIds: readonly string[];
  readonly #policies: CompiledPolicies['policies'];
  /** Actions whose policies the instance of Cedar has parsed. */
  readonly #parsed = new Set<string>();
  readonly #onFault: OnDecisionFault;
  /** undefined: a new one is needed. */
  #cedar: CedarModule | undefined;

  private constructor(texts: PolicyTexts, compiled: CompiledPolicies, cedar: CedarModule, onFault: OnDecisionFault) {
    this.hash = texts.hash;
    this.texts = texts;
    this.reading = compiled.reading;
    this.policyIds = compiled.policies.map(({ id }) => id);
    this.#policies = compiled.policies;
    this.#onFault = onFault;
    this.#cedar = cedar;
  }

  /** @throws Failure POLICIES_INVALID */
  static async compile(texts: PolicyTexts, onFault: OnDecisionFault): Promise<PolicySet> {
    const cedar = newCedar();
    return new PolicySet(texts, await compilePolicies(cedar, texts), cedar, onFault);
  }

  /**
   * True if a policy permits it and none forbids it; takes tenths of a millisecond. If a policy fails on the question,
   * the answer is no: Cedar would leave that policy out, and it may be the one that forbids.
   */
  permits({ principal, action, resource, context }: Question): boolean {
    try {
      const cedar = (this.#cedar ??= newCedar());
      this.#parse(cedar, action.id);
      const answer = cedar.statefulIsAuthorized({
        principal: principal.uid,
        action,
        resource: resource.uid,
        context,
        preparsedPolicySetId: action.id,
        entities: [principal, resource],
      });
      const faulty = answer.type === 'success' ? answer.response.diagnostics.errors : [];
      if (answer.type === 'success' && faulty.length === 0) return answer.response.decision === 'allow';
      this.#onFault({ action: action.id, policies: faulty.map(({ policyId }) => policyId) });
    } catch (cause) {
      // An instance that trapped may be in any state.
      this.#cedar = undefined;
      this.#parsed.clear();
      this.#onFault({ action: action.id, policies: [], cause });
    }
    return false;
  }

  /** Gives Cedar the policies of an action. The others cannot apply, and would take time at every decision. */
  #parse(cedar: CedarModule, action: string): void {
    if (this.#parsed.has(action)) return;
    const policies = this.#policies.filter(({ actions }) => actions === undefined || actions.includes(action));
    const staticPolicies = Object.fromEntries(policies.map(({ id, text }) => [id, text]));
    const { type } = cedar.preparsePolicySet(action, { staticPolicies });
    if (type === 'failure') throw new Error('Policies that could be read one by one cannot be read together.');
    this.#parsed.add(action);
  }
}

/** The policies in force. Reading them anew replaces them as a whole, or not at all. */
export class PoliciesInForce {
  readonly #folder: string | undefined;
  readonly #onFault: OnDecisionFault;
  #current: PolicySet;
  #reading: Promise<unknown> = Promise.resolve();

  private constructor(folder: string | undefined, onFault: OnDecisionFault, current: PolicySet) {
    this.#folder = folder;
    this.#onFault = onFault;
    this.#current = current;
  }

  /**
   * @param folder - of the operator's own policies; undefined: only the shipped ones
   * @param onFault - told of decisions that could not be made
   * @throws Failure POLICIES_INVALID
   */
  static async load(folder: string | undefined, onFault: OnDecisionFault): Promise<PoliciesInForce> {
    const current = await PolicySet.compile(await readPolicyTexts(folder), onFault);
    return new PoliciesInForce(folder, onFault, current);
  }

  get current(): PolicySet {
    return this.#current;
  }

  /**
   * Reads the policies again; one reading at a time. Calls under way keep the version that they began with.
   * @returns true if the policies changed
   * @throws Failure POLICIES_INVALID; the policies in force stay
   */
  reload(): Promise<boolean> {
    const reading = this.#reading.then(() => this.#read());
    this.#reading = reading.catch(() => undefined);
    return reading;
  }

  async #read(): Promise<boolean> {
    const texts = await readPolicyTexts(this.#folder);
    if (texts.hash === this.#current.hash) return false;
    this.#current = await PolicySet.compile(texts, this.#onFault);
    return true;
  }
}
