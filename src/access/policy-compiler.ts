import { setImmediate as nextTurn } from 'node:timers/promises';
import type { DetailedError, PolicyJson, ValidationError } from '@cedar-policy/cedar-wasm/nodejs';
import { Failure } from '../failure.ts';
import type { CedarModule } from './cedar-engine.ts';
import type { PolicyFile, PolicyTexts } from './policy-files.ts';
import { MAX_DEPTH, PolicyReader, type PolicyReading } from './policy-reading.ts';

/** Policies of all files together. */
const MAX_POLICIES = 500;
/** Characters of Cedar's message that are passed on. */
const MAX_MESSAGE = 300;

export interface CompiledPolicy {
  /** The file without its ending, '/', and the policy's `@id` or its number in the file from 1. */
  readonly id: string;
  readonly text: string;
  /** Names of the actions in its scope; undefined: all. */
  readonly actions: readonly string[] | undefined;
}

export interface CompiledPolicies {
  readonly policies: readonly CompiledPolicy[];
  readonly reading: PolicyReading;
}

/**
 * Checks every policy against the schema, as far as that can be done without data: names of entities, actions and
 * attributes, types, and policies that can never apply (a `forbid` among them would be a mistake without a sign).
 * @param cedar - an instance that is thrown away if this fails
 * @throws Failure POLICIES_INVALID: names the file, line and column, with Cedar's message
 */
export async function compilePolicies(cedar: CedarModule, texts: PolicyTexts): Promise<CompiledPolicies> {
  const policies: CompiledPolicy[] = [];
  const reading = new PolicyReader();
  for (const file of texts.files) {
    policies.push(...compileFile(cedar, texts.schema, file, reading));
    if (policies.length > MAX_POLICIES) throw invalid(file, `there are more than ${MAX_POLICIES} policies`);
    // Searches continue between files.
    await nextTurn();
  }
  return { policies, reading };
}

function compileFile(cedar: CedarModule, schema: string, file: PolicyFile, reader: PolicyReader): CompiledPolicy[] {
  try {
    const policies = policiesOf(cedar, file, reader);
    // The shipped policies are validated by the tests.
    if (file.origin === 'own') validate(cedar, schema, file);
    return policies;
  } catch (error) {
    if (error instanceof Failure) throw error;
    // A trap of the WebAssembly module: its stack is at its end.
    throw invalid(file, 'a policy is nested too deeply', error);
  }
}

function policiesOf(cedar: CedarModule, file: PolicyFile, reader: PolicyReader): CompiledPolicy[] {
  const parts = cedar.policySetTextToParts(file.text);
  if (parts.type === 'failure') throw located(file, parts.errors[0]);
  if (parts.policy_templates.length > 0) throw invalid(file, 'templates are not supported');
  const stem = file.name.slice(0, -'.cedar'.length);
  const numbers = parts.policies.map((_, i) => `policy${i}`).sort();
  const policies = new Map<string, CompiledPolicy>();
  for (const [i, text] of parts.policies.entries()) {
    const answer = cedar.policyToJson(text);
    if (answer.type === 'failure') throw located(file, answer.errors[0]);
    if (!reader.read(answer.json))
      throw invalid(file, `a policy has more than ${MAX_DEPTH} expressions inside one another`);
    // Parts come in the order of Cedar's own ids.
    const number = Number(numbers[i]?.slice('policy'.length)) + 1;
    const id = `${stem}/${answer.json.annotations?.['id'] ?? number}`;
    if (policies.has(id)) throw invalid(file, 'two policies have the same @id');
    policies.set(id, { id, text, actions: actionsOf(answer.json) });
  }
  return [...policies.values()];
}

/** The schema has no groups of actions, so a policy applies to those that its scope names. */
function actionsOf({ action }: PolicyJson): string[] | undefined {
  if (action.op === 'All') return undefined;
  const entities = 'entities' in action ? action.entities : 'entity' in action ? [action.entity] : [];
  return entities.map((entity) => ('__entity' in entity ? entity.__entity.id : entity.id));
}

function validate(cedar: CedarModule, schema: string, file: PolicyFile): void {
  const answer = cedar.validate({ schema, policies: { staticPolicies: file.text } });
  if (answer.type === 'failure') throw located(file, answer.errors[0]);
  const faults: ValidationError[] = [...answer.validationErrors, ...answer.validationWarnings];
  if (faults[0] !== undefined) throw located(file, faults[0].error);
}

function located(file: PolicyFile, error: DetailedError | undefined): Failure {
  const message = [error?.message, error?.help].filter((part) => typeof part === 'string').join('; ');
  const start = error?.sourceLocations?.[0]?.start;
  return invalid(file, message, undefined, start);
}

/** @param offset - bytes from the begin of the file */
function invalid(file: PolicyFile, problem: string, cause?: unknown, offset?: number): Failure {
  const before = offset === undefined ? undefined : Buffer.from(file.text).subarray(0, offset).toString().split('\n');
  const place = before === undefined ? '' : `, line ${before.length}, column ${(before.at(-1) ?? '').length + 1}`;
  const shown = problem.replace(/\p{Cc}+/gu, ' ').slice(0, MAX_MESSAGE);
  return new Failure('failed-precondition', 'POLICIES_INVALID', `Policies, ${file.name}${place}: ${shown}.`, { cause });
}
