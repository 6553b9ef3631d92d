import type { AcquireRequest, AcquireResult, StoredOutcome } from '../../engine/store.js';
import { acquired, asBytes, textOf } from './row.js';
import type { Statements } from './dialect.js';
import { acquireValues, countedValues, SqlRecords } from './records.js';
import type { Session } from './session.js';

/**
 * PostgreSQL. First claim, replay and refusal are one statement; a record that is there and free to
 * claim takes a second one.
 */
export class PostgresRecords extends SqlRecords {
  constructor(
    session: Session,
    private readonly postgres: Statements<'postgres'>,
    /** Names the table among the server's advisory locks. */
    private readonly lock: string,
    /** Claims that others cannot see yet are counted with locks, which end with the transaction. */
    private readonly isInTransaction = false,
  ) {
    super(session, postgres);
  }

  override async purgeExpired(limit: number): Promise<number> {
    const { changed } = await this.run(this.postgres.purgeExpired, { limit, lock: this.lock });
    return changed;
  }

  protected override async tryToAcquire(
    request: AcquireRequest,
  ): Promise<AcquireResult | 'changed'> {
    const isCounted = request.bucket !== undefined;
    const values = isCounted ? this.countedValues(request) : acquireValues(request);
    const statement = isCounted ? this.postgres.acquireLimited : this.postgres.acquire;
    const [row] = (await this.run(statement, values)).rows;
    if (row === undefined) return request.mustBeIssued ? { outcome: 'unknown' } : 'changed';
    const outcome = row.outcome as StoredOutcome | 'claimable' | 'ahead';
    switch (outcome) {
      case 'acquired':
        return {
          outcome,
          attempt: 1,
          fencingToken: Number(row.amount),
          abandoned: false,
          steps: new Map(),
        };
      case 'ahead':
        await this.boundLease(request.id);
        return { outcome: 'in-flight', leaseRemainingMs: Number(row.amount) };
      case 'in-flight':
        return { outcome, leaseRemainingMs: Number(row.amount) };
      case 'completed':
        return { outcome, reply: asBytes(row.content), ttlRemainingMs: Number(row.amount) };
      case 'held':
        return { outcome, reason: textOf(row.content) };
      case 'mismatch':
        return { outcome, fingerprint: textOf(row.content) };
      case 'unknown':
        return { outcome };
      case 'limited':
        return this.limited(request);
      case 'claimable': {
        const takeOver = isCounted ? this.postgres.takeOverLimited : this.postgres.takeOver;
        const [taken] = (await this.run(takeOver, values)).rows;
        if (taken === undefined) return 'changed';
        return isCounted && taken.has_room !== true ? this.limited(request) : acquired(taken);
      }
    }
  }

  private countedValues(request: AcquireRequest) {
    const values = countedValues(request);
    const slot_key = String(values.bucket.readBigInt64BE(0) >> 1n);
    return this.isInTransaction
      ? { ...values, in_flight: 0, slots: values.in_flight, slot_key }
      : { ...values, slots: 0, slot_key };
  }
}
