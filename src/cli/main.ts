import { parseArgs } from 'node:util';
import { isIdempotencyConfigurationError } from '../engine/configuration-error.js';
import { messageOf } from '../engine/driver-errors.js';
import { type Command, EXIT, type ExitCode, type Surroundings, UsageError } from './command.js';
import { migrate, sql, status } from './migrations.js';
import { forget, held, purge, settle, show, stats } from './operators.js';

/** By the name on the command line. */
const COMMANDS: Readonly<Record<string, Command>> = {
  migrate,
  status,
  sql,
  held,
  show,
  settle,
  forget,
  purge,
  stats,
};

const HERE: Surroundings = {
  environment: process.env,
  folder: process.cwd(),
  print: (line) => console.log(line),
  complain: (line) => console.error(line),
};

/**
 * Runs one command of `npx nestjs-idempotency`.
 *
 * @param args what stands behind the name of the program
 */
export async function main(
  args: readonly string[],
  around: Surroundings = HERE,
): Promise<ExitCode> {
  const [name = 'help', ...rest] = args;
  if (name === 'help' || name === '--help' || name === '-h') {
    for (const line of overview()) around.print(line);
    return EXIT.done;
  }
  const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (command === undefined) {
    around.complain(`There is no command "${name}".`);
    for (const line of overview()) around.complain(line);
    return EXIT.wrongUsage;
  }
  if (rest.includes('--help') || rest.includes('-h')) {
    for (const line of usageOf(name, command)) around.print(line);
    return EXIT.done;
  }
  return run(name, command, rest, around);
}

async function run(
  name: string,
  command: Command,
  args: readonly string[],
  around: Surroundings,
): Promise<ExitCode> {
  try {
    const { values, positionals } = parse(command, args);
    return await command.run({ options: values, positionals }, around);
  } catch (error) {
    const isUsage = error instanceof UsageError || isIdempotencyConfigurationError(error);
    around.complain(messageOf(error));
    if (isUsage) around.complain(`See: nestjs-idempotency ${name} --help`);
    return isUsage ? EXIT.wrongUsage : EXIT.failed;
  }
}

function parse({ options, takesId }: Command, args: readonly string[]) {
  try {
    const parsed = parseArgs({
      args: [...args],
      options,
      allowPositionals: takesId === true,
      strict: true,
    });
    return parsed as {
      readonly values: Record<string, string | boolean | undefined>;
      readonly positionals: string[];
    };
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

function overview(): string[] {
  return [
    'Usage: nestjs-idempotency <command> [options]',
    '',
    ...Object.entries(COMMANDS).map(([name, { summary }]) => `  ${name.padEnd(10)}${summary}`),
    '',
    'Exit codes: 0 done, 1 failed, 2 wrong arguments, 3 something is left to do.',
  ];
}

function usageOf(name: string, { summary, usage, takesId }: Command): string[] {
  return [
    `Usage: nestjs-idempotency ${name} ${takesId === true ? '<id> ' : ''}[options]`,
    '',
    summary,
    '',
    ...usage.map((line) => `  ${line}`),
  ];
}
