import type { SqlDialect } from './executor.js';

/** What an adapter of Prisma tells about an error of its driver. */
interface AdapterFacts {
  readonly kind?: unknown;
  readonly originalCode?: unknown;
  readonly originalMessage?: unknown;
  readonly code?: unknown;
  readonly message?: unknown;
  readonly state?: unknown;
}

interface PrismaError {
  readonly name?: unknown;
  readonly code?: unknown;
  readonly message?: unknown;
  readonly cause?: unknown;
  readonly meta?: { readonly driverAdapterError?: { readonly cause?: unknown } };
}

/** The SQLSTATE of what Prisma has given a name or a code of its own, and MySQL's number for it. */
const NAMED: Readonly<Record<string, readonly [state: string, errno: number]>> = {
  TransactionWriteConflict: ['40001', 1213],
  P2034: ['40001', 1213],
  TooManyConnections: ['53300', 1040],
  P2037: ['53300', 1040],
  TableDoesNotExist: ['42P01', 1146],
  P2021: ['42P01', 1146],
  ColumnNotFound: ['42703', 1054],
  P2022: ['42703', 1054],
  UniqueConstraintViolation: ['23505', 1062],
  P2002: ['23505', 1062],
  ForeignKeyConstraintViolation: ['23503', 1452],
  P2003: ['23503', 1452],
  NullConstraintViolation: ['23502', 1048],
  P2011: ['23502', 1048],
  LengthMismatch: ['22001', 1406],
  P2000: ['22001', 1406],
  ValueOutOfRange: ['22003', 1264],
  P2020: ['22003', 1264],
};

const PRISMA_CODE = /^P\d{4}$/;
const STATE = /^[0-9A-Z]{5}$/;

/**
 * The error of a driver that Prisma has wrapped, with the driver's own code; `undefined` for an error that is
 * not Prisma's. Prisma's codes, such as P2010 for every raw statement, look like SQLSTATE and are none.
 */
export function prismaErrorOf(error: unknown, dialect: SqlDialect): Error | undefined {
  if (typeof error !== 'object' || error === null) return undefined;
  const { name, code, message, cause, meta } = error as PrismaError;
  const facts = factsOf(
    meta?.driverAdapterError?.cause ?? (name === 'DriverAdapterError' && cause),
  );
  const isPrismas = typeof code === 'string' && PRISMA_CODE.test(code);
  if (facts === undefined && !isPrismas) return undefined;
  const text = facts?.originalMessage ?? facts?.message ?? message;
  const found = new Error(
    typeof text === 'string' ? text : 'The database has refused a statement.',
  );
  return Object.assign(found, codesOf(facts ?? {}, code, dialect));
}

function factsOf(cause: unknown): AdapterFacts | undefined {
  return typeof cause === 'object' && cause !== null ? cause : undefined;
}

function codesOf(facts: AdapterFacts, prismaCode: unknown, dialect: SqlDialect): object {
  const [state, errno] = NAMED[String(facts.kind)] ?? NAMED[String(prismaCode)] ?? [];
  const own = facts.originalCode ?? facts.code;
  if (dialect === 'postgres') {
    const known = typeof own === 'string' && STATE.test(own) ? own : state;
    return known === undefined ? {} : { code: known };
  }
  const number = Number(own ?? errno);
  const sqlState = state ?? facts.state;
  return {
    ...(Number.isInteger(number) && { errno: number }),
    ...(typeof sqlState === 'string' && STATE.test(sqlState) && { sqlState }),
  };
}
