import { EmptyScope, IdentifyResponse } from '../../contract/generated/ridgewatch/v1/identification.ts';
import { Purpose } from '../../contract/generated/ridgewatch/v1/identification.ts';
import { renderCandidates } from '../candidate-table.ts';
import { ServiceClient } from '../client.ts';
import { EXIT } from '../exit-codes.ts';
import { toProtoJson } from '../../contract/proto-json.ts';
import {
  connectionOf,
  PURPOSES,
  thresholdOf,
  type ConnectionOptions,
  type TemplateOptions,
  type ThresholdOptions,
} from '../shared-options.ts';
import { tellOdd } from '../odd-samples.ts';
import { readTemplateFile, toWireSample } from '../template-files.ts';

interface IdentifyOptions extends ConnectionOptions, TemplateOptions, ThresholdOptions {
  readonly gallery?: readonly string[];
  readonly maxCandidates: number;
  readonly exact?: boolean;
  readonly purpose: string;
  readonly checkpoint: string;
  readonly explain?: boolean;
  readonly allowPartial?: boolean;
  readonly firstHit?: boolean;
  readonly openCase?: boolean;
  readonly exitCode?: boolean;
}

/** Searches with template files as the probe. */
export async function identify(files: string[], options: IdentifyOptions): Promise<number> {
  const samples = files.map((file) =>
    toWireSample(readTemplateFile(file, { model: options.model, position: options.position })),
  );
  const client = new ServiceClient(connectionOf(options));
  try {
    const response = await client.identify({
      samples,
      galleries: [...(options.gallery ?? [])],
      maxCandidates: options.maxCandidates,
      threshold: thresholdOf(options),
      exact: options.exact === true,
      purpose: PURPOSES[options.purpose] ?? Purpose.UNSPECIFIED,
      checkpointId: options.checkpoint,
      clientRequestId: '',
      explain: options.explain === true,
      allowPartial: options.allowPartial === true,
      firstHit: options.firstHit === true,
      openCase: options.openCase === true,
    });
    const document = () => JSON.stringify(toProtoJson(IdentifyResponse.toJSON(response)));
    process.stdout.write(`${options.json ? document() : renderCandidates(response)}\n`);
    if (options.openCase === true && !options.json) process.stdout.write(`${caseLine(response.caseId)}\n`);
    tellOdd(
      files,
      response.samples.flatMap(({ warnings }) => warnings),
      options,
    );
    // Exit code 0 with an empty candidate list would look like the result of a search.
    if (response.emptyScope !== EmptyScope.UNSPECIFIED) return EXIT.nothingSearched;
    return options.exitCode && response.candidates.length > 0 ? EXIT.candidates : EXIT.ok;
  } finally {
    client.close();
  }
}

function caseLine(caseId: string): string {
  return caseId === '' ? 'No case was opened: there is no candidate for one.' : `Case ${caseId} was opened.`;
}
