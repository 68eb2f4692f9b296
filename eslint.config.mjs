import tseslint from 'typescript-eslint';

export default tseslint.config(
  { ignores: ['dist/', 'src/gen/', 'node_modules/', '**/*.mjs', '**/*.cjs'] },
  ...tseslint.configs.strictTypeChecked,
  {
    languageOptions: { parserOptions: { project: './tsconfig.json', tsconfigRootDir: import.meta.dirname } },
    linterOptions: { reportUnusedDisableDirectives: 'error' },
    rules: {
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/consistent-type-assertions': ['error', { assertionStyle: 'as' }],
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true, allowBoolean: true }],
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
      'max-lines': ['error', { max: 500 }],
      'max-lines-per-function': ['error', { max: 70, skipBlankLines: true, skipComments: true }],
      'no-console': 'error',
    },
  },
  {
    // `as` is for the constructor of a brand and `as const` (STYLE §4); tests may also shape fixtures with it.
    files: ['src/**/*.ts'],
    ignores: ['src/base/brand.ts', 'src/**/*.test.ts'],
    rules: {
      'no-restricted-syntax': [
        'error',
        { selector: 'TSAsExpression:not([typeAnnotation.typeName.name="const"])', message: 'parse into a type instead of asserting one' },
        { selector: 'TSNonNullExpression', message: 'handle the missing case' },
        { selector: 'TSEnumDeclaration', message: 'use a literal union' },
        { selector: 'TSModuleDeclaration[id.type="Identifier"][kind!="global"]', message: 'use a module' },
        { selector: 'TSParameterProperty', message: 'declare the field' },
      ],
    },
  },
  {
    // The core is told the time and given its ids, so that a test decides them (STYLE §1, "Pure rooms").
    files: ['src/{base,domain,blocks,formats,application}/**/*.ts'],
    ignores: ['src/**/*.test.ts'],
    rules: {
      'no-restricted-globals': [
        'error',
        ...['process', 'performance', 'setTimeout', 'setInterval', 'setImmediate', 'fetch'].map((name) => ({
          name,
          message: 'a pure room reads no clock, environment or network: take it as an argument or through a port',
        })),
      ],
      'no-restricted-properties': [
        'error',
        ...[['Date', 'now'], ['Math', 'random'], ['crypto', 'randomUUID']].map(([object, property]) => ({
          object,
          property,
          message: 'time and chance are arguments (ports/clock.ts)',
        })),
      ],
      'no-restricted-imports': [
        'error',
        {
          paths: [
            {
              name: 'node:crypto',
              importNames: ['randomUUID', 'randomBytes', 'randomInt', 'randomFill', 'randomFillSync', 'webcrypto'],
              message: 'chance is an argument (ports/clock.ts)',
            },
          ],
        },
      ],
    },
  },
  {
    // One place reads the environment, so that `oriel config` can say where every value came from (STYLE §4); the
    // program's entry hands it in.
    files: ['src/**/*.ts'],
    ignores: [
      'src/{base,domain,blocks,formats,application,config}/**/*.ts',
      'src/bin/oriel.ts',
      'src/**/*.test.ts',
    ],
    rules: {
      'no-restricted-properties': ['error', { object: 'process', property: 'env', message: 'only config/ reads the environment' }],
    },
  },
  {
    // A describe block is not a function to keep short; scripts and benches talk to a terminal.
    files: ['**/*.test.ts', 'test/**/*.ts', 'bench/**/*.ts', 'scripts/**/*.ts'],
    rules: { 'max-lines-per-function': 'off', 'no-console': 'off' },
  },
);
