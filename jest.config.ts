/** @jest-config-loader esbuild-register */
import type { Config } from 'jest';

const config: Config = {
  testEnvironment: 'node',
  testMatch: ['<rootDir>/test/**/*.test.ts', '<rootDir>/src/**/*.spec.ts'],
  testPathIgnorePatterns: [
    '/node_modules/',
    '<rootDir>/dist/',
    '<rootDir>/test/consumers/templates/',
  ],
  modulePathIgnorePatterns: ['<rootDir>/dist/', '<rootDir>/test/consumers/templates/'],
  testSequencer: './scripts/jest-sequencer.cjs',
  testTimeout: 30_000,
  maxWorkers: 2,
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
    '^nestjs-idempotency/(redis|typeorm)$': '<rootDir>/src/stores/$1/index.ts',
    '^nestjs-idempotency/(.*)$': '<rootDir>/src/$1/index.ts',
  },
};

export default config;
