/** How much of everything a request may hold. Looked at on the wire, before anything is made of it. */

/** Samples of a search or a comparison, for each side. */
export const MAX_PROBE_SAMPLES = 16;
/** Samples of a subject. */
export const MAX_ENROLLED_SAMPLES = 32;
/** Views of all samples of one side, or of a subject: a record can hold 255, and each becomes a probe or a reference. */
export const MAX_VIEWS = 32;
/** Galleries, or caveats, that a subject or a search names. */
export const MAX_NAMES = 32;
/** Fields that an update names. There are six; a name given twice does no harm. */
export const MAX_UPDATE_PATHS = 16;

/**
 * Fields of a message, those of the messages within it included. An enrolment of 32 samples with everything stated has
 * about 400.
 */
export const MAX_FIELDS = 2000;
/** Bytes of a text. The longest that a rule allows has 256 characters. */
export const MAX_TEXT_BYTES = 4096;

/** For each repeated field of a request: how many values it may hold. There is none without a limit; a test checks that. */
export const MAX_VALUES: Readonly<Record<string, number>> = {
  'ridgewatch.v1.IdentifyRequest.samples': MAX_PROBE_SAMPLES,
  'ridgewatch.v1.IdentifyRequest.galleries': MAX_NAMES,
  'ridgewatch.v1.VerifyRequest.samples': MAX_PROBE_SAMPLES,
  'ridgewatch.v1.ReferenceSamples.samples': MAX_PROBE_SAMPLES,
  'ridgewatch.v1.EnrollRequest.samples': MAX_ENROLLED_SAMPLES,
  'ridgewatch.v1.SubjectData.galleries': MAX_NAMES,
  'ridgewatch.v1.SubjectData.caveats': MAX_NAMES,
  'ridgewatch.v1.UpdateSubjectRequest.samples': MAX_ENROLLED_SAMPLES,
  'google.protobuf.FieldMask.paths': MAX_UPDATE_PATHS,
};

/** Numbers that a field may hold, where its type allows more than the service can keep. Times: the years 1 to 9999. */
export const RANGES: Readonly<Record<string, readonly [number, number]>> = {
  'google.protobuf.Timestamp.seconds': [-62_135_596_800, 253_402_300_799],
  'google.protobuf.Timestamp.nanos': [0, 999_999_999],
};
