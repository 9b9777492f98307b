import { Purpose, VerifyResponse, type VerifyRequest } from '../../contract/generated/ridgewatch/v1/identification.ts';
import { Failure } from '../../failure.ts';
import { renderVerification } from '../candidate-table.ts';
import { ServiceClient } from '../client.ts';
import { EXIT } from '../exit-codes.ts';
import { toProtoJson } from '../../contract/proto-json.ts';
import { tellOdd } from '../odd-samples.ts';
import { connectionOf, PURPOSES, type ConnectionOptions, type TemplateOptions } from '../shared-options.ts';
import { readTemplateFile, toWireSample } from '../template-files.ts';

interface VerifyOptions extends ConnectionOptions, TemplateOptions {
  readonly subject?: string;
  readonly against?: readonly string[];
  readonly purpose: string;
  readonly checkpoint: string;
  readonly explain?: boolean;
}

/** Compares a probe with an enrolled subject, or with other templates. */
export async function verify(files: string[], options: VerifyOptions): Promise<number> {
  const read = (file: string) =>
    toWireSample(readTemplateFile(file, { model: options.model, position: options.position }));
  const client = new ServiceClient(connectionOf(options));
  try {
    const response = await client.verify({
      samples: files.map(read),
      claim: claimOf(options, read),
      purpose: PURPOSES[options.purpose] ?? Purpose.UNSPECIFIED,
      checkpointId: options.checkpoint,
      clientRequestId: '',
      explain: options.explain === true,
    });
    const document = () => JSON.stringify(toProtoJson(VerifyResponse.toJSON(response)));
    process.stdout.write(`${options.json ? document() : renderVerification(response)}\n`);
    tellOdd(
      files,
      response.samples.flatMap(({ warnings }) => warnings),
      options,
    );
    tellOdd(options.against ?? [], response.referenceWarnings, options);
    return response.scores.length > 0 ? EXIT.ok : EXIT.notComparable;
  } finally {
    client.close();
  }
}

function claimOf(
  { subject, against }: VerifyOptions,
  read: (file: string) => ReturnType<typeof toWireSample>,
): VerifyRequest['claim'] {
  if ((subject === undefined) === (against === undefined)) {
    throw new Failure('invalid-argument', 'CLAIM_REQUIRED', 'Name the reference: --subject ID, or --against FILE.');
  }
  if (subject !== undefined) return { $case: 'subjectId', value: subject };
  return { $case: 'referenceSamples', value: { samples: (against ?? []).map(read) } };
}
