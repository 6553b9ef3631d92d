import { parseArgs } from 'node:util';
import { type Store, STORES } from './subjects.js';

export interface BenchOptions {
  /** How often everything is measured. */
  readonly rounds: number;
  /** How many requests each subject gets in one round. */
  readonly requests: number;
  /** How many each gets before anything counts: by then its code is compiled. */
  readonly warmUp: number;
  /** With which stores. */
  readonly stores: readonly Store[];
  /** Print the numbers as JSON instead of tables. */
  readonly json: boolean;
}

/** @throws Error for options that are unknown or out of range */
export function readOptions(args: string[]): BenchOptions {
  const { values } = parseArgs({
    args,
    options: {
      rounds: { type: 'string', default: '9' },
      requests: { type: 'string', default: '2000' },
      'warm-up': { type: 'string', default: '8000' },
      store: { type: 'string', multiple: true, default: [...STORES] },
      json: { type: 'boolean', default: false },
    },
  });
  return {
    rounds: count('rounds', values.rounds),
    requests: count('requests', values.requests),
    warmUp: count('warm-up', values['warm-up']),
    stores: values.store.map(knownStore),
    json: values.json,
  };
}

function knownStore(given: string): Store {
  const store = STORES.find((name) => name === given);
  if (store !== undefined) return store;
  throw new Error(`--store takes ${STORES.join(', ')}: ${given}`);
}

function count(option: string, given: string): number {
  const value = Number(given);
  if (Number.isInteger(value) && value > 0) return value;
  throw new Error(`--${option} takes a whole number from 1: ${given}`);
}
