/** @jest-config-loader esbuild-register */
import type { Config } from 'jest';

/** The matrices and the long runs; everything that they prove, another test proves for one row. */
const FULL = '**/*.full.test.ts';
const isFull = process.env.TEST_TIER === 'full';

const config: Config = {
  testEnvironment: './scripts/jest/environment.mjs',
  resolver: './scripts/jest/resolver.cjs',
  testMatch: isFull
    ? [`<rootDir>/test/${FULL}`]
    : ['<rootDir>/test/**/*.test.ts', '<rootDir>/src/**/*.spec.ts', `!${FULL}`],
  testPathIgnorePatterns: [
    '/node_modules/',
    '<rootDir>/dist/',
    '<rootDir>/test/consumers/templates/',
  ],
  modulePathIgnorePatterns: ['<rootDir>/dist/', '<rootDir>/test/consumers/templates/'],
  // Not among the temporary files, which are cleared away.
  cacheDirectory: '<rootDir>/node_modules/.cache/jest',
  globalSetup: './scripts/jest/global-setup.mjs',
  globalTeardown: './scripts/jest/global-teardown.mjs',
  testSequencer: './scripts/jest/sequencer.mjs',
  reporters: ['default', '<rootDir>/scripts/jest/reporter.mjs'],
  // What hangs is named long before (reporter.mjs).
  testTimeout: 150_000,
  // Modules stay in memory when their test file has ended.
  workerIdleMemoryLimit: '1GB',
  extensionsToTreatAsEsm: ['.ts'],
  transform: {
    '^.+\\.ts$': [
      '@swc/jest',
      {
        jsc: {
          target: 'es2022',
          parser: { syntax: 'typescript', decorators: true },
          transform: {
            legacyDecorator: true,
            decoratorMetadata: true,
            useDefineForClassFields: true,
          },
          keepClassNames: true,
        },
        module: { type: 'es6' },
        sourceMaps: 'inline',
      },
    ],
  },
  moduleNameMapper: {
    '^(\\.{1,2}/.*)\\.js$': '$1',
    '^nestjs-idempotency$': '<rootDir>/src/index.ts',
    '^nestjs-idempotency/(redis|sharded|sql|typeorm)$': '<rootDir>/src/stores/$1/index.ts',
    '^nestjs-idempotency/(.*)$': '<rootDir>/src/$1/index.ts',
  },
};

export default config;
