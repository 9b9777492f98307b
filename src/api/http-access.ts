/** Who may see what on the HTTP port. */
import { refusedPrincipal, type Admission, type Gatekeeper, type Presented } from '../access/gatekeeper.ts';
import { asFailure, Failure } from '../failure.ts';
import type { Answer } from '../http/answers.ts';
import type { JsonRequest, JsonRoute, Page, RequestHead } from '../http/routes.ts';
import { enter, type TurnedAway } from './caller-gate.ts';
import { needOfPath } from './needs.ts';

export interface HttpGateParts {
  /** Undefined while the service starts. */
  readonly gatekeeper: () => Pick<Gatekeeper, 'admit' | 'verified'> | undefined;
  readonly turnedAway: (call: TurnedAway) => void;
}

/** Answers a request that was let in. @param peer - address of the caller */
export type GatedRoute = (request: JsonRequest, admission: Admission, peer: string) => Promise<Answer>;

/** Lets requests in as the gate of gRPC does, by what their path needs. */
export class HttpGate {
  readonly #parts: HttpGateParts;

  constructor(parts: HttpGateParts) {
    this.#parts = parts;
  }

  /** The page behind the gate. */
  page(path: string, page: () => Answer | Promise<Answer>): Page {
    requireDeclared(path);
    return async (head) => {
      const admission = await this.#enter(path, head);
      try {
        return await page();
      } finally {
        admission?.leave();
      }
    };
  }

  /** The route behind the gate: nothing of a body is read before its caller is let in. */
  json(path: string, route: GatedRoute): JsonRoute {
    requireDeclared(path);
    return async (head) => {
      const admission = await this.#enter(path, head);
      if (admission === undefined) throw new Error(`${path} needs no client`);
      return {
        answer: (request) => route(request, admission, head.address),
        leave: () => admission.leave(),
      };
    };
  }

  async #enter(path: string, { authorization, address, certificate }: RequestHead): Promise<Admission | undefined> {
    const need = needOfPath(path);
    const gatekeeper = this.#parts.gatekeeper();
    if (need !== 'nothing' && gatekeeper === undefined)
      throw new Failure('unavailable', 'NOT_READY', 'The service is starting.', { retryAfterMs: 1000 });
    let presented: Presented = { certificate, authorization };
    try {
      if (need !== 'nothing') presented = (await gatekeeper?.verified(presented)) ?? presented;
      return gatekeeper && enter(gatekeeper, presented, need);
    } catch (thrown) {
      const failure = asFailure(thrown);
      this.#parts.turnedAway({ path, failure, presented, principal: refusedPrincipal(thrown), peer: address });
      throw failure;
    }
  }
}

function requireDeclared(path: string): void {
  if (needOfPath(path) === undefined) throw new Error(`nothing is declared about who may request ${path}`);
}
