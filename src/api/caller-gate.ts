/** Lets calls in that a registered client makes, before any of their bytes are read. */
import { type Metadata, ServerInterceptingCall, type ServerInterceptor } from '@grpc/grpc-js';
import { refusedPrincipal, type Admission, type Gatekeeper, type Presented } from '../access/gatekeeper.ts';
import type { Principal } from '../access/principal.ts';
import { asFailure, Failure } from '../failure.ts';
import { TurnPace } from './turn-pace.ts';
import { needOfMethod, type Need } from './needs.ts';
import { toServiceError } from './status.ts';

/** A call that was refused at the gate. */
export interface TurnedAway {
  /** Path of the method. */
  readonly path: string;
  readonly failure: Failure;
  readonly presented: Presented;
  /** Address of the caller. */
  readonly peer: string;
  /** Who it is, where only the permission was missing. */
  readonly principal?: Principal | undefined;
}

export interface GateParts {
  readonly gatekeeper: Pick<Gatekeeper, 'admit' | 'verified'>;
  /** The facts of the certificate of the connection that a call came by. */
  readonly certificateOf: (peer: {
    readonly remoteAddress?: string | undefined;
    readonly remotePort?: number | undefined;
  }) => Presented['certificate'];
  readonly turnedAway: (call: TurnedAway) => void;
  /**
   * Counts a stream against its client.
   * @returns to be called when the stream has ended @throws Failure STREAMS_EXHAUSTED
   */
  readonly openStream: (principal: Principal) => () => void;
}

const admissions = new WeakMap<Metadata, Admission>();

/** The admission of the call with this metadata; undefined: the method needs no client. */
export function admissionOf(metadata: Metadata | undefined): Admission | undefined {
  return metadata && admissions.get(metadata);
}

/** Notes that the call with this metadata was let in. */
export function letIn(metadata: Metadata, admission: Admission): void {
  admissions.set(metadata, admission);
}

/** The interceptor that stands before every handler. */
export function callerGate({ gatekeeper, certificateOf, turnedAway, openStream }: GateParts): ServerInterceptor {
  const pace = new TurnPace();
  return (method, call) => {
    let admission: Admission | undefined;
    let closeStream: (() => void) | undefined;
    let isOver = false;
    // The library tells of a status or of the end of the connection: whichever ends a call, it is not counted any more.
    const leave = () => {
      isOver = true;
      admission?.leave();
      closeStream?.();
    };
    return new ServerInterceptingCall(call, {
      start: (next) =>
        next({
          onReceiveMetadata: (metadata, onward) => {
            const peer = call.getConnectionInfo();
            const shown: Presented = {
              certificate: certificateOf(peer),
              authorization: metadata.get('authorization').map(String),
            };
            // No handler needs the token, and none can leak it.
            metadata.remove('authorization');
            const turnAway = (thrown: unknown, presented: Presented) => {
              if (isOver) return;
              const failure = asFailure(thrown);
              const principal = admission?.principal ?? refusedPrincipal(thrown);
              leave();
              turnedAway({ path: method.path, failure, presented, peer: peer.remoteAddress ?? '', principal });
              call.sendStatus(toServiceError(failure));
            };
            const admit = (presented: Presented) => {
              // It may have been cancelled while its token was verified.
              if (isOver) return;
              try {
                admission = enter(gatekeeper, presented, need);
                if (admission !== undefined && (method.requestStream || method.responseStream))
                  closeStream = openStream(admission.principal);
              } catch (thrown) {
                turnAway(thrown, presented);
                return;
              }
              if (admission !== undefined) letIn(metadata, admission);
              onward(metadata);
            };
            const need = needOfMethod(method.path);
            const begin = () => {
              if (isOver) return;
              const pending = need === 'nothing' ? undefined : gatekeeper.verified(shown);
              if (pending === undefined) admit(shown);
              else pending.then(admit).catch((thrown: unknown) => turnAway(thrown, shown));
            };
            pace.enter(begin);
          },
          onCancel: leave,
        }),
      sendStatus: (status, onward) => {
        leave();
        onward(status);
      },
    });
  };
}

/** @returns undefined: the method needs no client @throws Failure, see Gatekeeper.admit */
export function enter(
  gatekeeper: Pick<Gatekeeper, 'admit'>,
  presented: Presented,
  need: Need | undefined,
): Admission | undefined {
  if (need === 'nothing') return undefined;
  if (need !== undefined) return gatekeeper.admit(presented, need === 'client' ? [] : need);
  throw new Failure('permission-denied', 'ACTION_NOT_PERMITTED', 'No client may call this method.');
}
