import type { Answer } from './answers.ts';

/** Answers GET and HEAD of one path. */
export type Page = () => Answer | Promise<Answer>;

/** A request with a JSON body. */
export interface JsonRequest {
  readonly body: Uint8Array;
  /** When the caller stops waiting, in milliseconds since 1970; Infinity: not known. */
  readonly deadlineMs: number;
  /** @param listener - called if the caller hangs up before it has its answer */
  readonly onHangUp: (listener: () => void) => void;
}

/** Answers POST of one path, for programs on this machine. */
export type JsonRoute = (request: JsonRequest) => Promise<Answer>;

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
