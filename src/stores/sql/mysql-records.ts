import {
  type AcquireRequest,
  type AcquireResult,
  type CompleteRequest,
  type ExtendRequest,
  type IssueRequest,
  type Limited,
  type SaveStepRequest,
  StoreFullError,
} from '../../engine/store.js';
import { UnsentError } from '../../engine/transaction.js';
import {
  asBytes,
  bytesOfId,
  bytesOfText,
  isExpired,
  isOtherContent,
  isTrue,
  standing,
  stepsOf,
} from './row.js';
import type { Statements } from './dialect.js';
import {
  acquireValues,
  claimValues,
  countedValues,
  limitedBy,
  roomValues,
  SqlRecords,
  storyValues,
} from './records.js';
import type { Row, Session } from './session.js';

/** Drivers write bytes into a statement as hexadecimal digits. */
const BYTES_IN_HEXADECIMAL = 2;

/** More than a statement has beside its content. */
const STATEMENT_BYTES = 2 ** 14;

/** How long a statement is that writes so many bytes. */
export function packetOf(bytes: number): number {
  return BYTES_IN_HEXADECIMAL * bytes + STATEMENT_BYTES;
}

const TOO_LARGE = 'The record is larger than max_allowed_packet.';

/** Servers that take less are not asked about what is smaller: it was not the size. */
const LEAST_PACKET_BYTES = 2 ** 19;

/**
 * MySQL and MariaDB, which cannot tell what an insert has met. The first claim of a record is one
 * statement; a refused duplicate reads as well; a takeover is a third that compares and sets.
 */
export class MysqlRecords extends SqlRecords {
  constructor(
    session: Session,
    private readonly mysql: Statements<'mysql'>,
    /** Names the table among the database's locks. */
    private readonly lock: string,
    private readonly isInTransaction = false,
  ) {
    super(session, mysql);
  }

  /** If nothing changed, the lease may already end in this very millisecond. */
  override async extend(request: ExtendRequest): Promise<boolean> {
    if (await super.extend(request)) return true;
    const view = await this.find(request.id);
    return (
      view?.state === 'in-flight' &&
      view.owner === request.owner &&
      (view.leaseRemainingMs ?? 0) > 0
    );
  }

  override async issue({ id, ttlMs }: IssueRequest): Promise<boolean> {
    const values = { id: bytesOfId(id), ttl_ms: ttlMs };
    const { insertId } = await this.run(this.mysql.issue, values);
    return insertId === 1;
  }

  override complete(request: CompleteRequest): Promise<boolean> {
    return this.unlessTooLarge(request.reply, () => super.complete(request));
  }

  override saveStep(request: SaveStepRequest): Promise<boolean> {
    return this.unlessTooLarge(request.value, () => super.saveStep(request));
  }

  override purgeExpired(limit: number): Promise<number> {
    const { lock } = this;
    return this.session.onOneConnection(async (session) => {
      const { rows } = await session.query(this.mysql.lockPurge, { lock });
      if (Number(rows[0]?.taken) !== 1) return 0;
      try {
        return await this.purgeBatch(session, limit);
      } finally {
        await session.query(this.mysql.unlockPurge, { lock });
      }
    });
  }

  protected override async tryToAcquire(
    request: AcquireRequest,
  ): Promise<AcquireResult | 'changed'> {
    if (!request.mustBeIssued) {
      const insertId = await this.insert(request);
      if (insertId > 0) return firstClaim(insertId);
    }
    const row = await this.read(request.id);
    if (row === undefined && request.mustBeIssued) return { outcome: 'unknown' };
    if (request.bucket !== undefined && (row === undefined || isNew(row))) {
      const refusal = await this.refusal(request);
      if (refusal !== undefined) return refusal;
    }
    if (row === undefined) return 'changed';
    const answer = standing(row, request);
    if (answer !== 'claimable' && answer.outcome === 'in-flight' && isTrue(row.is_ahead))
      await this.boundLease(request.id);
    return answer === 'claimable' ? this.takeOver(row, request) : answer;
  }

  /** Answers with the fencing token of the claim, or 0 when there is none. */
  private async insert(request: AcquireRequest): Promise<number> {
    if (request.bucket === undefined)
      return (await this.run(this.mysql.acquire, acquireValues(request))).insertId;
    const values = this.countedValues(request);
    const insert = async (): Promise<number> =>
      (await this.run(this.mysql.acquireLimited, values)).insertId;
    return this.isInTransaction ? insert() : CLAIMS.after(request.bucket, insert);
  }

  /** In a transaction, room was found before. */
  private countedValues(request: AcquireRequest) {
    const values = countedValues(request);
    return this.isInTransaction ? { ...values, in_flight: 0, new_keys: 0 } : values;
  }

  /** What stands in the way of a new record, if anything does. */
  private async refusal(request: AcquireRequest): Promise<Limited | undefined> {
    if (this.isInTransaction) return undefined;
    const { rows } = await this.run(this.mysql.room, roomValues(request));
    const { inFlight = Infinity } = request.limits ?? {};
    const [row] = rows;
    const isFull = Number(row?.alive) >= inFlight || row?.leaving_ms !== null;
    return isFull ? limitedBy(row, request) : undefined;
  }

  /**
   * If a statement is too large, the server closes the connection, as if it had been cut. Only the
   * size tells the two apart.
   */
  private async unlessTooLarge<T>(content: Uint8Array, write: () => Promise<T>): Promise<T> {
    const bytes = BYTES_IN_HEXADECIMAL * content.byteLength;
    // The transaction would be gone with the connection.
    if (this.isInTransaction && bytes >= LEAST_PACKET_BYTES)
      if (bytes + STATEMENT_BYTES > (await this.packetBytes())) throw new UnsentError(TOO_LARGE);
    try {
      return await write();
    } catch (cause) {
      if (bytes < LEAST_PACKET_BYTES || bytes < (await this.packetBytes())) throw cause;
      throw new StoreFullError(TOO_LARGE, { cause });
    }
  }

  private async packetBytes(): Promise<number> {
    try {
      const { rows } = await this.run(this.mysql.packetSize, {});
      return Number(rows[0]?.bytes);
    } catch {
      return Infinity;
    }
  }

  private async purgeBatch(session: Session, limit: number): Promise<number> {
    const { rows } = await session.query(this.mysql.purgeCandidates, { limit });
    if (rows.length === 0) return 0;
    const ids = rows.map((row) => asBytes(row.id));
    const { changed } = await session.query(this.mysql.purgeExpired, { ids });
    return changed;
  }

  private async takeOver(row: Row, request: AcquireRequest): Promise<AcquireResult | 'changed'> {
    const isGone = isExpired(row);
    const isOther = isOtherContent(row, request.fingerprint);
    const attempt = isGone || isOther ? 1 : Number(row.attempt) + 1;
    const abandoned = !isGone && row.state === 'in-flight';
    const fingerprint = bytesOfText(request.fingerprint);
    const { bucket } = request;
    const takeOver = bucket === undefined ? this.mysql.takeOver : this.mysql.takeOverLimited;
    const { changed, insertId } = await this.run(takeOver, {
      ...claimValues(request),
      ...storyValues(request),
      ...(bucket !== undefined && { bucket: bytesOfId(bucket), is_new: isNew(row) ? 1 : 0 }),
      attempt,
      abandoned: abandoned ? 1 : 0,
      fingerprint: isGone || fingerprint.length > 0 ? fingerprint : asBytes(row.fingerprint),
      keeps_steps: isGone ? 0 : 1,
      lease_ms: request.leaseMs,
      ttl_ms: request.ttlMs,
      above_token: request.aboveToken ?? 0,
      seen_state: row.state as string,
      seen_token: Number(row.fencing_token),
      seen_lease: Number(row.lease_ends_at),
    });
    if (changed === 0) return 'changed';
    const steps = stepsOf(isGone ? Buffer.alloc(0) : asBytes(row.steps));
    return { outcome: 'acquired', attempt, fencingToken: insertId, abandoned, steps };
  }
}

function firstClaim(fencingToken: number): AcquireResult {
  return { outcome: 'acquired', attempt: 1, fencingToken, abandoned: false, steps: new Map() };
}

/** True for a record that nobody has claimed. */
function isNew(row: Row): boolean {
  return isExpired(row) || row.state === 'issued';
}

/**
 * Claims of one bucket, one after the other: the server takes two at once for a deadlock. Those of other
 * processes are repeated when that happens.
 */
class Turns {
  private readonly last = new Map<string, Promise<unknown>>();

  after<T>(bucket: string, claim: () => Promise<T>): Promise<T> {
    const before = this.last.get(bucket);
    const turn = before === undefined ? claim() : before.then(claim, claim);
    this.last.set(bucket, turn);
    const end = (): void => {
      if (this.last.get(bucket) === turn) this.last.delete(bucket);
    };
    turn.then(end, end);
    return turn;
  }
}

const CLAIMS = new Turns();
