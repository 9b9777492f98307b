import { ClientDirectory } from '../access/client-directory.ts';
import { Gatekeeper } from '../access/gatekeeper.ts';
import { Decisions, type KnownGalleries } from '../access/decisions.ts';
import type { Decider } from '../access/grant.ts';
import { PoliciesInForce, type DecisionFault } from '../access/policy-set.ts';
import { ensureLocalToken, LOCAL_CLIENT, localTokenFile } from '../access/local-client.ts';
import type { TurnedAway } from '../api/caller-gate.ts';
import type { Configuration } from '../configuration.ts';
import { Failure } from '../failure.ts';
import type { Logger } from '../observability/logging.ts';
import { createSecret } from '../security/secret-file.ts';
import type { ClientStore } from '../store/client-store.ts';
import type { RefusalLog } from '../observability/refusal-log.ts';
import { SignInWatch } from './sign-in-watch.ts';

/** Who may call, and what each may do. */
export interface Access {
  readonly directory: ClientDirectory;
  readonly gatekeeper: Gatekeeper;
  readonly decider: Decider;
  readonly policies: PoliciesInForce;
  readonly signIns: SignInWatch;
}

/**
 * Reads the policies. That takes the main thread for two tenths of a second: to be begun before the database is waited
 * for, which leaves the thread idle.
 * @returns rejects with Failure POLICIES_INVALID; that need not be awaited if the start fails before
 */
export function beginPolicies({ policies }: Pick<Configuration, 'policies'>, log: Logger): Promise<PoliciesInForce> {
  const onFault = (fault: DecisionFault) =>
    log.error(
      { action: fault.action, policies: fault.policies, err: fault.cause },
      'a decision failed, and was denied',
    );
  const loading = PoliciesInForce.load(policies, onFault);
  loading.catch(() => undefined);
  return loading;
}

/**
 * Reads the clients, and makes the token of this machine's own operator where there is none.
 * @param loading - see beginPolicies
 * @throws Failure POLICIES_INVALID, OIDC_INVALID
 */
export async function startAccess(
  configuration: Configuration,
  loading: Promise<PoliciesInForce>,
  clients: ClientStore,
  known: KnownGalleries,
  log: Logger,
  countKeys: (outcome: 'read' | 'failed') => void,
): Promise<Access> {
  const signIns = new SignInWatch(configuration.oidcFile, { log, countKeys });
  const directory = new ClientDirectory(clients);
  await directory.refresh();
  const { dataDir } = configuration;
  const create = (file: string, content: string) => createSecret(file, content, `The token ${file}`);
  const ensure = () => ensureLocalToken(dataDir, directory.clients, clients, create, new Date());
  // A local client that was changed in the database gets no token: ridgewatch client recover makes it anew.
  const isDamaged = directory.damaged.some(({ clientId }) => clientId === LOCAL_CLIENT);
  const isMade = await (isDamaged ? Promise.resolve(false) : ensure()).catch(async (error: unknown) => {
    // Another service on the same store has made the client meanwhile.
    if (!(error instanceof Failure) || error.reason !== 'CLIENT_EXISTS') throw error;
    await directory.refresh();
    return ensure();
  });
  if (isMade) log.info({ file: localTokenFile(dataDir) }, 'made a token for the command line on this machine');
  await directory.refresh();
  const policies = await loading;
  log.info({ policy_hash: policies.current.hash, replaced: policies.current.texts.replaced }, 'policies are in force');
  const decider = new Decisions(policies, known);
  const gatekeeper = new Gatekeeper(directory, decider, Date.now, signIns.providers);
  signIns.start(() => gatekeeper.review());
  return { directory, gatekeeper, decider, policies, signIns };
}

/** Counts and logs callers that were not let in, in few lines. */
export function turnedAwayLog(refusals: RefusalLog): (call: TurnedAway) => void {
  return ({ path, failure }) => refusals.report({ surface: 'grpc', reason: failure.reason, facts: { path } });
}
