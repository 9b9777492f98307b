import type { PolicyJson } from '@cedar-policy/cedar-wasm/nodejs';

/** What policies read, so that what none of them can tell apart need not be decided twice. */
export interface PolicyReading {
  /** Texts that they contain. */
  readonly texts: ReadonlySet<string>;
  /** Attributes that they read. */
  readonly attributes: ReadonlySet<string>;
  /** Caveats for which they look by name. */
  readonly caveats: ReadonlySet<string>;
  /**
   * Attributes of records that they use in another way than to ask whether they equal, or contain, a text of the policy or the
   * agency of the client: patterns, for example. Of the other attributes only such values matter.
   */
  readonly examined: ReadonlySet<string>;
  /** Ids of clients that they name. */
  readonly clients: ReadonlySet<string>;
}

/** Expressions inside one another. Cedar's stack ends at some 200; a decision must never come near it. */
export const MAX_DEPTH = 80;

/** Attributes of clients that are texts. */
const TEXTS_OF_CLIENTS: readonly unknown[] = ['agency', 'agencyCode'];

const NOT_OF_RECORDS: readonly unknown[] = ['principal', 'context'];

type Node = Readonly<Record<string, unknown>>;

const isNode = (value: unknown): value is Node => typeof value === 'object' && value !== null;

/** Collects what the policies of a set read. */
export class PolicyReader implements PolicyReading {
  readonly texts = new Set<string>();
  readonly attributes = new Set<string>();
  readonly caveats = new Set<string>();
  readonly examined = new Set<string>();
  readonly clients = new Set<string>();

  /** @returns false if the policy is nested deeper than {@link MAX_DEPTH} */
  read(policy: PolicyJson): boolean {
    this.#walk(policy.principal, 0, false);
    return this.#walk(policy.conditions, 0, false);
  }

  /** @param isCompared - the value is only asked whether it equals, or contains, a fixed text */
  #walk(value: unknown, depth: number, isCompared: boolean): boolean {
    // An expression takes two levels: its operator, and the names of the operands.
    if (depth > 2 * MAX_DEPTH) return false;
    if (typeof value === 'string') this.texts.add(value);
    if (!isNode(value)) return true;
    const { type, id } = value;
    if (type === 'Ridgewatch::Client' && typeof id === 'string') this.clients.add(id);
    const { attr, left } = value;
    if (typeof attr === 'string') {
      this.attributes.add(attr);
      if (!isCompared && !NOT_OF_RECORDS.includes(variableOf(left))) this.examined.add(attr);
    }
    return Object.entries(value).every(
      ([key, inner]) => key === 'attr' || this.#walk(inner, depth + 1, this.#staysCompared(value, key, isCompared)),
    );
  }

  /** Is the part of an expression under this key compared only? */
  #staysCompared(node: Node, key: string, isCompared: boolean): boolean {
    const inner = node[key];
    // The operator of an attribute's access holds what it is accessed of, and the name.
    if (key === '.') return isCompared;
    if (key === 'left' || key === 'right') return isCompared;
    if (!isNode(inner)) return false;
    // Equal sets have no other members, so members that no policy names would matter.
    if (key === '==' || key === '!=') return isFixedText(inner['left']) || isFixedText(inner['right']);
    if (!['contains', 'containsAny', 'containsAll'].includes(key)) return false;
    const accessed = isNode(inner['left']) ? inner['left']['.'] : undefined;
    if (isNode(accessed) && accessed['attr'] === 'caveats')
      textsIn(inner['right']).forEach((text) => this.caveats.add(text));
    return isFixed(inner['right']);
  }
}

/** A text, or the texts of a set. */
function textsIn(value: unknown): string[] {
  if (!isNode(value)) return [];
  if (Array.isArray(value['Set'])) return value['Set'].flatMap(textsIn);
  return typeof value['Value'] === 'string' ? [value['Value']] : [];
}

function isFixed(value: unknown): boolean {
  return isNode(value) && Array.isArray(value['Set']) ? value['Set'].every(isFixedText) : isFixedText(value);
}

/** A text, or an attribute of the client that is one. */
function isFixedText(value: unknown): boolean {
  if (!isNode(value)) return false;
  if (typeof value['Value'] === 'string') return true;
  const access = value['.'];
  return isNode(access) && variableOf(access['left']) === 'principal' && TEXTS_OF_CLIENTS.includes(access['attr']);
}

function variableOf(value: unknown): unknown {
  return isNode(value) ? value['Var'] : undefined;
}
