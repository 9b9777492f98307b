import type { CertificateFacts } from '../security/peer-certificate.ts';
import type { Answer } from './answers.ts';

/** What is known of a request before its body. */
export interface RequestHead {
  /** Values of the header `authorization`. */
  readonly authorization: readonly string[];
  /** Address of the caller. */
  readonly address: string;
  /** Verified; undefined: the client has shown none, or the connection is without TLS. */
  readonly certificate: CertificateFacts | undefined;
}

/** Answers GET and HEAD of one path. */
export type Page = (head: RequestHead) => Answer | Promise<Answer>;

/** A request with a JSON body. */
export interface JsonRequest {
  readonly body: Uint8Array;
  /** When the caller stops waiting, in milliseconds since 1970; Infinity: not known. */
  readonly deadlineMs: number;
  /** @param listener - called if the caller hangs up before it has its answer */
  readonly onHangUp: (listener: () => void) => void;
}

/**
 * Answers POST of one path: for programs on this machine, or over TLS. Called with the head, before the body is read.
 * @throws Failure when the caller is not let in
 */
export type JsonRoute = (head: RequestHead) => AdmittedRequest | Promise<AdmittedRequest>;

/** A request whose body may be read. */
export interface AdmittedRequest {
  readonly answer: (request: JsonRequest) => Promise<Answer>;
  /** Called when the request has ended, answered or not. */
  readonly leave: () => void;
}

/** What a server answers, by path. */
export interface Routes {
  readonly pages: ReadonlyMap<string, Page>;
  readonly json: ReadonlyMap<string, JsonRoute>;
}

/** The paths, as a sentence for a caller that requested another one. */
export function describeRoutes({ pages, json }: Routes): string {
  const gets = [...pages.keys()].map((path) => `GET ${path}`);
  const posts = [...json.keys()].map((path) => `POST ${path}`);
  return `There is ${[...gets, ...posts].join(', ')}.`;
}
