/**
 * Enrols one subject.
 *
 *   node docs/examples/node/enrol.ts --request-id visit-17 docs/examples/templates/enrolled/*
 */
import { parseArgs } from 'node:util';
import { call, connect, CONNECTION_OPTIONS, runExample, sampleOf } from './ridgewatch.ts';

interface EnrollResponse {
  readonly subject: { readonly subjectId: string; readonly references: readonly object[] };
  readonly galleryVersion: string;
  readonly repeatedRequest: boolean;
  readonly newGalleries: readonly string[];
  readonly warnings: readonly { readonly sampleIndex: number; readonly code: string }[];
}

await runExample(async () => {
  const { values, positionals: files } = parseArgs({
    options: {
      ...CONNECTION_OPTIONS,
      contributor: { type: 'string', default: 'example' },
      gallery: { type: 'string', default: 'example' },
      model: { type: 'string', default: 'synthetic-512' },
      'request-id': { type: 'string', default: '' },
    },
    allowPositionals: true,
  });
  if (files.length === 0) throw new Error('Name the templates of one subject: .iso and .f32 files.');
  const gallery = connect('Gallery', values);
  try {
    const request = {
      data: {
        contributor: values.contributor,
        galleries: [values.gallery],
        provenance: 'PROVENANCE_SYNTHETIC',
      },
      samples: files.map((file) => sampleOf(file, values.model)),
      // With a request id the call can be repeated if no answer came: it never enrols twice.
      clientRequestId: values['request-id'],
    };
    const answer = await call<EnrollResponse>(gallery, 'Enroll', request, Date.now() + Number(values['timeout-ms']));
    const { subject, repeatedRequest, newGalleries, warnings } = answer;
    console.log(
      `Subject ${subject.subjectId} ${repeatedRequest ? 'was enrolled before' : 'is enrolled'} with ${subject.references.length} references; searches find it from change ${answer.galleryVersion} on.`,
    );
    // Only this line reveals a mistyped gallery name.
    if (newGalleries.length > 0)
      console.log(`No subject belonged to these galleries before: ${newGalleries.join(', ')}.`);
    for (const { sampleIndex, code } of warnings) console.log(`Sample ${sampleIndex} has a warning: ${code}.`);
  } finally {
    gallery.close();
  }
});
