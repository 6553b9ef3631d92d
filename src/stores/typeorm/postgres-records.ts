import type { AcquireRequest, AcquireResult, StoredOutcome } from '../../engine/store.js';
import { acquired, asBytes, textOf } from './row.js';
import type { Statements } from './dialect.js';
import { acquireValues, SqlRecords } from './records.js';
import type { Session } from './sessions.js';

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
    const values = acquireValues(request);
    const [row] = (await this.run(this.postgres.acquire, values)).rows;
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
        return { outcome, reply: asBytes(row.content) };
      case 'held':
        return { outcome, reason: textOf(row.content) };
      case 'mismatch':
        return { outcome, fingerprint: textOf(row.content) };
      case 'unknown':
        return { outcome };
      case 'claimable': {
        const [taken] = (await this.run(this.postgres.takeOver, values)).rows;
        return taken === undefined ? 'changed' : acquired(taken);
      }
    }
  }
}
