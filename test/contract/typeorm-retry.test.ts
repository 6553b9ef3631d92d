import {
  type Answer,
  RetryingSession,
  type Session,
  type Statement,
} from '../../src/stores/sql/session.js';

const STATEMENT: Statement = {
  name: 'statement',
  text: 'SELECT 1',
  parameters: [],
  returnsRows: false,
};
const ANSWER: Answer = { rows: [], changed: 1, insertId: 0 };

/** Fails so often, then answers. */
class FailingSession implements Session {
  calls = 0;

  constructor(
    private readonly error: unknown,
    private readonly failures: number,
  ) {}

  query(): Promise<Answer> {
    this.calls += 1;
    // oxlint-disable-next-line typescript/prefer-promise-reject-errors -- as drivers do
    return this.calls > this.failures ? Promise.resolve(ANSWER) : Promise.reject(this.error);
  }

  onOneConnection<T>(work: (session: Session) => Promise<T>): Promise<T> {
    return work(this);
  }
}

describe('a statement that lost against others', () => {
  it.each([
    ['a serialization failure', { code: '40001' }],
    ['a deadlock on PostgreSQL', { code: '40P01' }],
    ['a deadlock on MySQL', { errno: 1213 }],
    ['a lock wait on MySQL', { errno: 1205 }],
    ['a busy SQLite', { code: 'SQLITE_BUSY' }],
    ['a busy SQLite that only says so', new Error('SQLITE_ERROR: database is locked')],
    ['one in an error of TypeORM', { message: 'failed', driverError: { code: '40001' } }],
  ])('is repeated after %s', async (_, error) => {
    const session = new FailingSession(error, 2);
    expect(await new RetryingSession(session).query(STATEMENT, {})).toBe(ANSWER);
    expect(session.calls).toBe(3);
  });

  it.each([
    ['a lost connection', { code: 'ECONNRESET' }],
    ['a wrong statement', { code: '42601' }],
    ['a full disk', { code: '53100' }],
    ['something that is no error', 'no error'],
  ])('is not repeated after %s', async (_, error) => {
    const session = new FailingSession(error, 2);
    await expect(new RetryingSession(session).query(STATEMENT, {})).rejects.toBe(error);
    expect(session.calls).toBe(1);
  });

  it('is given up after a few times', async () => {
    const error = { code: '40001' };
    const session = new FailingSession(error, Infinity);
    await expect(new RetryingSession(session).query(STATEMENT, {})).rejects.toBe(error);
    expect(session.calls).toBe(7);
  });
});
