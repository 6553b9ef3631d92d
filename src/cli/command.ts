import type { parseArgs } from 'node:util';

/** What the command line ends with. Scripts and CI act on it. */
export const EXIT = {
  /** Done, or nothing had to be done. */
  done: 0,
  /** It failed: the database cannot be reached or refused, or there is nothing to settle. */
  failed: 1,
  /** The arguments are wrong. Nothing was done. */
  wrongUsage: 2,
  /** Something is left to do: a migration to run, or operations to settle. */
  needed: 3,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** Where a command runs. */
export interface Surroundings {
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** The application's folder, whose drivers are used. */
  readonly folder: string;
  /** Writes a line of the result. */
  print(line: string): void;
  /** Writes a line beside the result. */
  complain(line: string): void;
}

/** The options of `parseArgs()` from `node:util`. */
type ParseOptions = NonNullable<NonNullable<Parameters<typeof parseArgs>[0]>['options']>;

/** What was given on the command line. */
export interface Given {
  readonly options: Readonly<Record<string, string | boolean | undefined>>;
  readonly positionals: readonly string[];
}

/** One command. */
export interface Command {
  /** What it does, in one line. */
  readonly summary: string;
  /** What may be given, one line each: `--url <url>  what it is`. */
  readonly usage: readonly string[];
  readonly options: ParseOptions;
  /** Its only argument is the id of a record; without this, it has no argument. */
  readonly takesId?: true;
  /** @throws {@link UsageError} for arguments that it cannot use */
  run(given: Given, around: Surroundings): Promise<ExitCode>;
}

/** The arguments are wrong: ends with {@link EXIT.wrongUsage}. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** The value of an option that takes one. */
export function textOf({ options }: Given, name: string): string | undefined {
  const value = options[name];
  return typeof value === 'string' ? value : undefined;
}
