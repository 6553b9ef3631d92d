import {
  type AcquireRequest,
  type AcquireResult,
  type CompleteRequest,
  type ExtendRequest,
  type HoldRequest,
  type IssueRequest,
  type Limited,
  type ListRequest,
  type RecordPage,
  type RecordView,
  type ReleaseRequest,
  type SaveStepRequest,
  StoreFullError,
} from '../../engine/store.js';
import { heldNote, settledNote } from '../../engine/story.js';
import {
  acquired,
  asBytes,
  bytesOfId,
  bytesOfText,
  isExpired,
  isTrue,
  listedOf,
  standing,
  stepFrame,
  viewOf,
} from './row.js';
import type { Statements } from './dialect.js';
import { isFull } from './errors.js';
import type { Answer, Row, Session, Statement, Values } from './session.js';

/** Each round means that another call came in between. That never happens this often in a row. */
const MOST_ROUNDS = 50;

/** Others changed the record again and again; or the table does not keep what it is given. */
export class ChangingRecordError extends Error {}

/** The verbs of a store as SQL statements, on one session. This class itself serves SQLite. */
export class SqlRecords {
  constructor(
    protected readonly session: Session,
    private readonly sql: Statements,
  ) {}

  async acquire(request: AcquireRequest): Promise<AcquireResult> {
    for (let round = 0; round < MOST_ROUNDS; round += 1) {
      const result = await this.tryToAcquire(request);
      if (result !== 'changed') return result;
    }
    throw new ChangingRecordError(
      `The idempotency record changed ${MOST_ROUNDS} times during one claim.`,
    );
  }

  extend(request: ExtendRequest): Promise<boolean> {
    return this.change(this.sql.extend, {
      ...claimValues(request),
      lease_ms: request.leaseMs,
      ttl_ms: request.ttlMs,
    });
  }

  /** As {@link extend}, in the claim's own transaction: also when the lease has run out. */
  keepClaim(request: ExtendRequest): Promise<boolean> {
    return this.change(this.sql.keepClaim, {
      ...claimValues(request),
      lease_ms: request.leaseMs,
      ttl_ms: request.ttlMs,
    });
  }

  /** Holds the record if this owner has it in flight. */
  async holdInFlight(request: HoldRequest): Promise<boolean> {
    const record = await this.find(request.id);
    const isOurs = record?.state === 'in-flight' && record.owner === request.owner;
    return isOurs && this.hold(request);
  }

  async complete(request: CompleteRequest): Promise<boolean> {
    const isCompleted = await this.change(this.sql.complete, {
      ...claimValues(request),
      reply: request.reply,
      ...settlementValues(request),
    });
    return isCompleted || this.isSettled(request, 'completed');
  }

  release(request: ReleaseRequest): Promise<boolean> {
    return this.change(this.sql.release, {
      ...claimValues(request),
      ...settlementValues(request),
      uncounted: request.isUncounted === true ? 1 : 0,
    });
  }

  async hold(request: HoldRequest): Promise<boolean> {
    const isHeld = await this.change(this.sql.hold, {
      ...claimValues(request),
      reason: bytesOfText(request.reason),
      note: bytesOfText(heldNote(request)),
    });
    return isHeld || this.isSettled(request, 'held');
  }

  saveStep(request: SaveStepRequest): Promise<boolean> {
    const step = stepFrame(request.name, request.value);
    return this.change(this.sql.saveStep, { ...claimValues(request), step });
  }

  issue({ id, ttlMs }: IssueRequest): Promise<boolean> {
    return this.change(this.sql.issue, { id: bytesOfId(id), ttl_ms: ttlMs });
  }

  async find(id: string): Promise<RecordView | undefined> {
    const row = await this.read(id);
    return row === undefined || isExpired(row) ? undefined : viewOf(id, row);
  }

  async forget(id: string): Promise<boolean> {
    const values = { id: bytesOfId(id) };
    if (await this.change(this.sql.forget, values)) return true;
    await this.boundLease(id);
    return false;
  }

  async list({ state, after, limit }: ListRequest): Promise<RecordPage> {
    const isHeld = state === 'held';
    const begin = after === undefined ? { at: isHeld ? HELD_FROM : 0, id: NO_ID } : placeOf(after);
    const most = isHeld ? limit : Math.max(limit, LEAST_LOOKED_AT);
    const values = { after_at: begin.at, after_id: begin.id, limit: most };
    const until_at = isHeld ? HELD_UNTIL : HELD_FROM;
    const { rows } = await this.run(this.sql.list, { ...values, until_at });
    const found = rows.filter((row) => isListed(row, state));
    // A page that is full begins again at the record after its last one.
    const last = found.length > limit ? found[limit - 1] : rows[most - 1];
    return {
      records: found.slice(0, limit).map(listedOf),
      next: last && nameOf(Number(last.purge_at), asBytes(last.id)),
    };
  }

  async purgeExpired(limit: number): Promise<number> {
    const { changed } = await this.run(this.sql.purgeExpired, { limit });
    return changed;
  }

  /** Fails if the columns for limits are missing. */
  async checkLimits(): Promise<void> {
    await this.run(this.sql.checkLimits, {});
  }

  /** Fails if the table or a column is missing. */
  async checkTable(): Promise<void> {
    await this.run(this.sql.checkTable, {});
  }

  protected async tryToAcquire(request: AcquireRequest): Promise<AcquireResult | 'changed'> {
    const isLimited = request.bucket !== undefined;
    const { rows } = isLimited
      ? await this.run(this.sql.acquireLimited, countedValues(request))
      : await this.run(this.sql.acquire, acquireValues(request));
    const [row] = rows;
    if (row === undefined && request.mustBeIssued) return { outcome: 'unknown' };
    if (row !== undefined && isTrue(row.claimed)) return acquired(row);
    const answer = row === undefined ? 'claimable' : standing(row, request);
    if (answer !== 'claimable') return answer;
    return isLimited ? this.limited(request) : 'changed';
  }

  /** Why there is no room for a claim that was refused. */
  protected async limited(request: AcquireRequest): Promise<Limited> {
    const { rows } = await this.run(this.sql.room, roomValues(request));
    return limitedBy(rows[0], request);
  }

  /**
   * Somebody else owns the record, but for no longer than a lease, even if the clock was changed.
   */
  protected async boundLease(id: string): Promise<void> {
    await this.change(this.sql.boundLease, { id: bytesOfId(id) });
  }

  protected async read(id: string): Promise<Row | undefined> {
    const { rows } = await this.run(this.sql.find, { id: bytesOfId(id) });
    return rows[0];
  }

  protected async change(statement: Statement, values: Values): Promise<boolean> {
    const { changed } = await this.run(statement, values);
    return changed > 0;
  }

  protected async run(statement: Statement, values: Values): Promise<Answer> {
    try {
      return await this.session.query(statement, values);
    } catch (cause) {
      if (!isFull(cause)) throw cause;
      throw new StoreFullError('The database has no room for the record.', { cause });
    }
  }

  /** Only asked if nothing was changed: the owner may already have settled the record. */
  private async isSettled(
    { id, owner }: { readonly id: string; readonly owner: string },
    state: 'completed' | 'held',
  ): Promise<boolean> {
    const view = await this.find(id);
    return view?.state === state && view.owner === owner;
  }
}

/** A held record's `purge_at` is this and the time at which it was held. See create-table.sql. */
const HELD_FROM = 10 ** 15;
const HELD_UNTIL = 2 * HELD_FROM;
/** Without an index by state, a page looks at no fewer records than this. */
const LEAST_LOOKED_AT = 500;
const NO_ID = Buffer.alloc(0);

function isListed(row: Row, state: ListRequest['state']): boolean {
  if (isExpired(row)) return false;
  return state === 'abandoned'
    ? row.state === 'in-flight' && Number(row.lease_remaining_ms) <= 0
    : row.state === state;
}

function nameOf(purgeAt: number, id: Buffer): string {
  return `${purgeAt}.${id.toString('hex')}`;
}

/** @throws Error for what {@link nameOf} has not made */
function placeOf(name: string): { readonly at: number; readonly id: Buffer } {
  const [, at, id] = /^(\d{1,16})\.([0-9a-f]{64})$/.exec(name) ?? [];
  if (id === undefined) throw new Error('The cursor does not come from a list of this store.');
  return { at: Number(at), id: Buffer.from(id, 'hex') };
}

function settlementValues({ ttlMs, from = 'in-flight', settledBy }: ReleaseRequest) {
  return { ttl_ms: ttlMs, from, note: bytesOfText(settledNote(settledBy)) };
}

/** What an answer of room.sql says; perhaps there is room again. */
export function limitedBy(row: Row | undefined, { limits }: AcquireRequest): Limited {
  const { inFlight = Infinity } = limits ?? {};
  const leavingMs = row?.leaving_ms;
  const isBusy = Number(row?.alive) >= inFlight || leavingMs === null || leavingMs === undefined;
  return isBusy
    ? { outcome: 'limited', limit: 'inFlight', retryAfterMs: 0 }
    : { outcome: 'limited', limit: 'newKeys', retryAfterMs: Math.max(0, Number(leavingMs)) };
}

export function claimValues({ id, owner }: { readonly id: string; readonly owner: string }) {
  return { id: bytesOfId(id), owner: bytesOfText(owner) };
}

export function acquireValues(request: AcquireRequest) {
  return {
    ...claimValues(request),
    fingerprint: bytesOfText(request.fingerprint),
    lease_ms: request.leaseMs,
    ttl_ms: request.ttlMs,
    above_token: request.aboveToken ?? 0,
    must_be_issued: request.mustBeIssued ? 1 : 0,
    ...storyValues(request),
  };
}

export function storyValues({ scope, label }: AcquireRequest) {
  return {
    scope: scope === undefined ? null : bytesOfText(scope),
    label: label === undefined ? null : bytesOfText(label),
  };
}

/** For statements that look whether a bucket has room. */
export function roomValues({ bucket = '', limits }: AcquireRequest) {
  const { inFlight = 0, newKeys = 0, windowMs = 0 } = limits ?? {};
  return {
    bucket: bytesOfId(bucket),
    in_flight: inFlight,
    new_keys: newKeys,
    last_kept: Math.max(0, newKeys - 1),
    window_ms: windowMs,
  };
}

/** For claims that count. */
export function countedValues(request: AcquireRequest) {
  return { ...acquireValues(request), ...roomValues(request) };
}
