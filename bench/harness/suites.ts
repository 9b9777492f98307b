/** Suites: sequences of benches. */

export interface SuiteStep {
  readonly bench: string;
  readonly arguments: readonly string[];
}

/** Available real data. */
export interface SuiteData {
  /** Sets of prints, see `accuracy`. */
  readonly prints: readonly string[];
  /** Sets of face embeddings, see `fpir`. */
  readonly faces: readonly string[];
}

const step = (line: string): SuiteStep => {
  const [bench = '', ...rest] = line.split(' ');
  return { bench, arguments: rest };
};

/** Three minutes on two cores: small galleries, few searches, no real data. */
export const QUICK: readonly SuiteStep[] = [
  step('kernels --rounds 7 --scanned 200000'),
  step('search --subjects 20000 --mated 100 --non-mated 20 --exact 4'),
  step('penetration --subjects 20000 --mated 200'),
  {
    bench: 'e1n',
    arguments: ['--subjects', '2500', '--mated', '100', '--non-mated', '200', '--kinds', 'two fingers,a face'],
  },
  step('load --subjects 1000 --seconds 3 --enrolments 15'),
  step('import --references 30000 --kills 0'),
];

/** Every suite at full size: hours. */
export function nightly({ prints, faces }: SuiteData): SuiteStep[] {
  const withData = (bench: string, data: readonly string[], flag: string, ...rest: string[]): SuiteStep[] =>
    data.length === 0 ? [] : [{ bench, arguments: [...data.flatMap((folder) => [flag, folder]), ...rest] }];
  return [
    step('kernels --rounds 31'),
    step('search --subjects 300000 --mated 500 --non-mated 60 --exact 4'),
    step('growth --subjects 1000000'),
    step('penetration --subjects 100000 --mated 1000'),
    step('e1n --subjects 50000 --mated 500 --non-mated 1000'),
    step('throughput --subjects 100000'),
    step('load --subjects 10000 --seconds 20'),
    step('import --references 1000000'),
    step('index --subjects 100000'),
    step('replicas'),
    step('rewriting'),
    step('durability --rounds 60'),
    step('hits'),
    step('soak --minutes 30'),
    {
      bench: 'fpir',
      arguments: [
        ...faces.flatMap((folder) => ['--data', folder]),
        ...prints.flatMap((folder) => ['--prints', folder]),
      ],
    },
    ...withData('accuracy', prints, '--data', '--cross-validate', '5'),
    ...withData('strata', prints, '--data', '--cross-validate', '5'),
    // At most one set of real faces: other embedding sets do not change the graph result.
    { bench: 'graph', arguments: faces.slice(0, 1).flatMap((folder) => ['--data', folder]) },
  ];
}
