import { wrongOption } from '../../engine/configuration-error.js';
import { forbidden } from './check-table.js';
import type { Dialect, TableName } from './dialect.js';
import { isForbidden } from './errors.js';
import { packetOf } from './mysql-records.js';
import type { Row, Session, Statement } from './session.js';
import { pathOf } from './sql-table.js';

const statement = (name: string, text: string, parameters: readonly string[]): Statement => ({
  name: `idempotency_${name}`,
  text,
  parameters,
  returnsRows: true,
});

const ASK: Readonly<Partial<Record<Dialect, Statement>>> = {
  postgres: statement(
    'check_server',
    'SELECT relpersistence::text AS persistence FROM pg_class WHERE oid = to_regclass($1::text)',
    ['path'],
  ),
  mysql: statement(
    'check_server',
    `SELECT @@autocommit AS autocommit, @@max_allowed_packet AS packet, (
  SELECT concat(t.engine, ' ', e.transactions) FROM information_schema.tables AS t
  JOIN information_schema.engines AS e ON e.engine = t.engine
  WHERE t.table_schema = coalesce(?, database()) AND t.table_name = ?
) AS engine`,
    ['schema', 'table'],
  ),
};

/** What a server is checked for. */
interface ServerCheck {
  /** What configuration errors call the table. */
  readonly option: string;
  readonly largestReplyBytes: number;
  readonly warn: (warning: string) => void;
}

/**
 * Checks once, when the application boots, whether records in this table are what they have to be: committed when a
 * statement has succeeded, undone with a transaction, and there after a crash. Nothing fails where they are not.
 *
 * @throws {@link IdempotencyConfigurationError} if operations would run twice
 */
export async function checkServer(
  session: Session,
  dialect: Dialect,
  name: TableName,
  { option, largestReplyBytes, warn }: ServerCheck,
): Promise<void> {
  await checkDeletes(session, dialect, name, option);
  const facts = await factsOf(session, dialect, name);
  if (facts === undefined) return;
  const { autocommit, engine, persistence, packet } = facts;
  const neededBytes = packetOf(largestReplyBytes);
  if (packet !== undefined && Number(packet) < neededBytes) {
    warn(
      `max_allowed_packet is ${Number(packet)} bytes, so a reply of \`maxResponseBytes\` (${largestReplyBytes}) cannot be kept: ` +
        `its retries get 409 IDEMPOTENCY_REPLY_NOT_KEPT. Set max_allowed_packet to ${neededBytes} or more, or lower maxResponseBytes.`,
    );
  }
  if (autocommit !== undefined && Number(autocommit) === 0) throw notCommitting(option, name);
  if (String(engine).endsWith(' NO')) throw notTransactional(option, name, String(engine));
  if (persistence === undefined || persistence === 'p') return;
  warn(
    `The table of the idempotency records (${name.table}) is not logged: after a crash of the database it is empty, and ` +
      `finished operations run again. Say ALTER TABLE ${name.table} SET LOGGED.`,
  );
}

/** The right to delete is only needed much later, by the purge. */
async function checkDeletes(
  session: Session,
  dialect: Dialect,
  name: TableName,
  option: string,
): Promise<void> {
  const text = `DELETE FROM ${pathOf(dialect, name)} WHERE 1 = 0`;
  try {
    await session.query(
      { name: 'idempotency_check_deletes', text, parameters: [], returnsRows: false },
      {},
    );
  } catch (error) {
    if (isForbidden(error)) throw forbidden(option, name.table, error);
  }
}

/** A server that does not tell is none that is known to be wrong. */
async function factsOf(
  session: Session,
  dialect: Dialect,
  name: TableName,
): Promise<Row | undefined> {
  const ask = ASK[dialect];
  if (ask === undefined) return undefined;
  const values = { path: pathOf(dialect, name), schema: name.schema ?? null, table: name.table };
  try {
    const { rows } = await session.query(ask, values);
    return rows[0];
  } catch {
    return undefined;
  }
}

function notCommitting(option: string, { table }: TableName): Error {
  return wrongOption(
    option,
    table,
    'a table that connections write with autocommit',
    'The connections have autocommit = 0, so that a claim is not committed and nobody else sees it. Remove it from ' +
      "init_connect and from the driver's options; transactions are begun where they are needed.",
  );
}

function notTransactional(option: string, { table }: TableName, engine: string): Error {
  return wrongOption(
    option,
    table,
    'a table whose engine has transactions',
    `Its engine is ${engine.split(' ')[0]}, whose records stay when their transaction is undone. Say ALTER TABLE ${table} ENGINE = InnoDB.`,
  );
}
