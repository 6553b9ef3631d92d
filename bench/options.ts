import { parseArgs } from 'node:util';
import { type Store, STORES } from './subjects.js';

export interface BenchOptions {
  /** How often everything is measured. */
  readonly rounds: number;
  /** How long each subject is under load in one round. */
  readonly seconds: number;
  /** How long each subject is under load before anything counts. */
  readonly warmUpSeconds: number;
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
      seconds: { type: 'string', default: '1' },
      'warm-up': { type: 'string', default: '6' },
      store: { type: 'string', multiple: true, default: [...STORES] },
      json: { type: 'boolean', default: false },
    },
  });
  const rounds = positive('rounds', values.rounds);
  if (!Number.isInteger(rounds)) throw new Error(`--rounds takes a whole number: ${rounds}`);
  return {
    rounds,
    seconds: positive('seconds', values.seconds),
    warmUpSeconds: positive('warm-up', values['warm-up']),
    stores: values.store.map(knownStore),
    json: values.json,
  };
}

function knownStore(given: string): Store {
  const store = STORES.find((name) => name === given);
  if (store !== undefined) return store;
  throw new Error(`--store takes ${STORES.join(', ')}: ${given}`);
}

function positive(option: string, given: string): number {
  const value = Number(given);
  if (Number.isFinite(value) && value > 0) return value;
  throw new Error(`--${option} takes a positive number: ${given}`);
}
