import { parseArgs } from 'node:util';

export interface BenchOptions {
  /** How often everything is measured. */
  readonly rounds: number;
  /** How long each subject is under load in one round. */
  readonly seconds: number;
  /** Print the numbers as JSON instead of tables. */
  readonly json: boolean;
}

/** @throws Error for options that are unknown or no positive number */
export function readOptions(args: string[]): BenchOptions {
  const { values } = parseArgs({
    args,
    options: {
      rounds: { type: 'string', default: '5' },
      seconds: { type: 'string', default: '2' },
      json: { type: 'boolean', default: false },
    },
  });
  const rounds = positive('rounds', values.rounds);
  if (!Number.isInteger(rounds)) throw new Error(`--rounds takes a whole number: ${rounds}`);
  return { rounds, seconds: positive('seconds', values.seconds), json: values.json };
}

function positive(option: string, given: string): number {
  const value = Number(given);
  if (Number.isFinite(value) && value > 0) return value;
  throw new Error(`--${option} takes a positive number: ${given}`);
}
