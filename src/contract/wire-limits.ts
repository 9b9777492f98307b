/** Limits on the contents of a request. Checked on the bytes, before any object is created. */

/** Samples of a search, and of each side of a comparison. */
export const MAX_PROBE_SAMPLES = 16;
/** Samples of one subject. */
export const MAX_ENROLLED_SAMPLES = 32;
/**
 * Views of all samples of one side or subject. A record can hold 255 views, and each becomes a probe or a reference.
 */
export const MAX_VIEWS = 32;
/** Galleries or caveats named by a subject or a search. */
export const MAX_NAMES = 32;
/** Roles that exist, and purposes that can be stated. */
export const MAX_ROLES = 9;
export const MAX_PURPOSES = 4;
/** Galleries that a client may use, where not all. */
export const MAX_CLIENT_GALLERIES = 256;
/** Paths in an update mask. Ten paths exist; repeating one is harmless. */
export const MAX_UPDATE_PATHS = 16;

/**
 * Fields of a message, including those of nested messages. An enrolment of 32 samples with every field set has about
 * 400.
 */
export const MAX_FIELDS = 2000;
/** Size of a string, in bytes. The longest string that a rule allows has 1,000 characters. */
export const MAX_TEXT_BYTES = 4096;

/** Maximum number of values of each repeated field in requests. A test checks that every repeated field has a limit. */
export const MAX_VALUES: Readonly<Record<string, number>> = {
  // MAX_CASE_CANDIDATES.
  'ridgewatch.v1.DecideRequest.decisions': 50,
  'ridgewatch.v1.IdentifyRequest.samples': MAX_PROBE_SAMPLES,
  'ridgewatch.v1.IdentifyRequest.galleries': MAX_NAMES,
  'ridgewatch.v1.FindDuplicatesRequest.galleries': MAX_NAMES,
  'ridgewatch.v1.VerifyRequest.samples': MAX_PROBE_SAMPLES,
  'ridgewatch.v1.ReferenceSamples.samples': MAX_PROBE_SAMPLES,
  'ridgewatch.v1.EnrollRequest.samples': MAX_ENROLLED_SAMPLES,
  'ridgewatch.v1.SubjectData.galleries': MAX_NAMES,
  'ridgewatch.v1.SubjectData.caveats': MAX_NAMES,
  'ridgewatch.v1.UpdateSubjectRequest.samples': MAX_ENROLLED_SAMPLES,
  'ridgewatch.v1.Client.roles': MAX_ROLES,
  'ridgewatch.v1.Client.galleries': MAX_CLIENT_GALLERIES,
  'ridgewatch.v1.Client.purposes': MAX_PURPOSES,
  'google.protobuf.FieldMask.paths': MAX_UPDATE_PATHS,
};

/** Ranges of fields whose type allows more than the service can store. Timestamps: the years 1 to 9999. */
export const RANGES: Readonly<Record<string, readonly [number, number]>> = {
  'google.protobuf.Timestamp.seconds': [-62_135_596_800, 253_402_300_799],
  'google.protobuf.Timestamp.nanos': [0, 999_999_999],
};
