import { type Awaitable, chain } from '../engine/awaitable.js';
import type {
  AcquireRequest,
  AcquireResult,
  ClaimRef,
  CompleteRequest,
  ExtendRequest,
  HoldRequest,
  IdempotencyStore,
  IssueRequest,
  RecordView,
  ReleaseRequest,
  SaveStepRequest,
  Steps,
  Unreadable,
} from '../engine/store.js';
import type {
  CommitFailure,
  StoreTransaction,
  TransactionalStore,
  TransactionRequest,
} from '../engine/transaction.js';
import type { Seal } from './seal.js';

/** Wraps a store, which then sees replies and step results only sealed, each for its own record. */
export class SealedStore implements IdempotencyStore {
  readonly watch: IdempotencyStore['watch'];
  readonly ofCall: IdempotencyStore['ofCall'];
  readonly partOf?: NonNullable<IdempotencyStore['partOf']>;
  readonly list: IdempotencyStore['list'];
  readonly sources: TransactionalStore['sources'];
  readonly recordsOf: TransactionalStore['recordsOf'];
  private readonly places = new WeakMap<IdempotencyStore, SealedStore>();

  constructor(
    private readonly store: IdempotencyStore,
    private readonly seal: Seal,
  ) {
    if (store.watch !== undefined) this.watch = (id, onChange) => store.watch!(id, onChange);
    if (store.partOf !== undefined) this.partOf = (id) => store.partOf!(id);
    if (store.ofCall !== undefined)
      this.ofCall = () => chain(store.ofCall!(), (place) => this.sealed(place));
    if (store.list !== undefined)
      this.list = (request) =>
        chain(store.list!(request), ({ records, next }) => ({
          records: records.map((record) => openedFailure(seal, record)),
          next,
        }));
    const { sources, recordsOf } = store as Partial<TransactionalStore>;
    if (sources !== undefined) this.sources = sources;
    if (recordsOf !== undefined)
      this.recordsOf = (source) =>
        chain(recordsOf.call(store, source), (place) => this.sealed(place));
  }

  acquire(request: AcquireRequest): Awaitable<AcquireResult> {
    return chain(this.store.acquire(request), (result) =>
      openedResult(this.seal, request.id, result),
    );
  }

  extend(request: ExtendRequest): Awaitable<boolean> {
    return this.store.extend(request);
  }

  complete(request: CompleteRequest): Awaitable<boolean> {
    return this.store.complete(sealedReply(this.seal, request));
  }

  release(request: ReleaseRequest): Awaitable<boolean> {
    return this.store.release(request);
  }

  hold(request: HoldRequest): Awaitable<boolean> {
    return this.store.hold(sealedFailure(this.seal, request));
  }

  saveStep(request: SaveStepRequest): Awaitable<boolean> {
    return this.store.saveStep(sealedStep(this.seal, request));
  }

  issue(request: IssueRequest): Awaitable<boolean> {
    return this.store.issue(request);
  }

  find(id: string): Awaitable<RecordView | undefined> {
    return chain(this.store.find(id), (record) => record && openedView(this.seal, record));
  }

  forget(id: string): Awaitable<boolean> {
    return this.store.forget(id);
  }

  /** The same object for the same place. */
  private sealed(place: IdempotencyStore): SealedStore {
    const sealed = this.places.get(place) ?? new SealedStore(place, this.seal);
    this.places.set(place, sealed);
    return sealed;
  }

  /** Asked only of stores that have transactions. */
  async beginTransaction(request: TransactionRequest): Promise<StoreTransaction> {
    const transaction = await (this.store as TransactionalStore).beginTransaction(request);
    return new SealedTransaction(transaction, this.seal);
  }
}

/** Like {@link SealedStore}, for records in the transaction of the work. It leaves no verb out. */
class SealedTransaction implements StoreTransaction, Required<Omit<StoreTransaction, 'checkWork'>> {
  constructor(
    private readonly transaction: StoreTransaction,
    private readonly seal: Seal,
  ) {}

  get manager(): StoreTransaction['manager'] {
    return this.transaction.manager;
  }

  get checkWork(): StoreTransaction['checkWork'] {
    return this.transaction.checkWork;
  }

  async acquire(request: AcquireRequest): Promise<AcquireResult> {
    return openedResult(this.seal, request.id, await this.transaction.acquire(request));
  }

  saveStep(request: SaveStepRequest): Promise<boolean> {
    return this.transaction.saveStep(sealedStep(this.seal, request));
  }

  complete(request: CompleteRequest): Promise<boolean> {
    return this.transaction.complete(sealedReply(this.seal, request));
  }

  hold(request: HoldRequest): Promise<boolean> {
    return this.transaction.hold(sealedFailure(this.seal, request));
  }

  release(request: ReleaseRequest): Promise<boolean> {
    return this.transaction.release(request);
  }

  undoWork(): Promise<void> {
    return this.transaction.undoWork();
  }

  commit(): Promise<void> {
    return this.transaction.commit();
  }

  get hasReachedOut(): boolean {
    return this.transaction.hasReachedOut === true;
  }

  failureOf(error: unknown): CommitFailure {
    return this.transaction.failureOf?.(error) ?? 'unknown';
  }

  async isCommitted(claim: ClaimRef): Promise<boolean> {
    return (await this.transaction.isCommitted?.(claim)) ?? false;
  }

  async holdCommitted(request: HoldRequest): Promise<boolean> {
    const sealed = sealedFailure(this.seal, request);
    return (await this.transaction.holdCommitted?.(sealed)) ?? false;
  }

  rollback(): Promise<void> {
    return this.transaction.rollback();
  }

  run<T>(work: () => T): T {
    return this.transaction.run(work);
  }
}

function sealedReply(seal: Seal, request: CompleteRequest): CompleteRequest {
  return { ...request, reply: seal.seal(request.reply, [request.id, 'reply']) };
}

function sealedStep(seal: Seal, request: SaveStepRequest): SaveStepRequest {
  return { ...request, value: seal.seal(request.value, [request.id, 'step', request.name]) };
}

/** What an application's error says may be as private as a reply. */
function sealedFailure(seal: Seal, request: HoldRequest): HoldRequest {
  const { id, failure } = request;
  if (failure === undefined) return request;
  const sealed = seal.seal(Buffer.from(failure.message), [id, 'failure']);
  const message = SEALED_MESSAGE + Buffer.from(sealed).toString('base64url');
  return { ...request, failure: { ...failure, message } };
}

/** A message that cannot be opened is empty. */
function openedFailure<R extends Pick<RecordView, 'id' | 'story'>>(seal: Seal, record: R): R {
  const { id, story } = record;
  const { failure } = story ?? {};
  if (failure?.message.startsWith(SEALED_MESSAGE) !== true) return record;
  const sealed = Buffer.from(failure.message.slice(SEALED_MESSAGE.length), 'base64url');
  let message = '';
  try {
    message = Buffer.from(seal.open(sealed, [id, 'failure'])).toString();
  } catch {
    // The name of the error is left.
  }
  return { ...record, story: { ...story, failure: { ...failure, message } } };
}

const SEALED_MESSAGE = 'sealed:';

function openedResult(seal: Seal, id: string, result: AcquireResult): AcquireResult {
  try {
    if (result.outcome === 'completed')
      return { ...result, reply: seal.open(result.reply, [id, 'reply']) };
    // Most claims are first claims, which have no steps.
    if (result.outcome === 'acquired' && result.steps.size > 0)
      return { ...result, steps: openedSteps(seal, id, result.steps) };
    return result;
  } catch (cause) {
    const claimed = result.outcome === 'acquired' ? result : undefined;
    return { outcome: 'unreadable', cause, claimed } satisfies Unreadable;
  }
}

/** Operators also see a record that cannot be opened, but not its content. */
function openedView(seal: Seal, view: RecordView): RecordView {
  const { reply, ...record } = openedFailure(seal, view);
  const { id } = record;
  try {
    const steps = openedSteps(seal, id, record.steps);
    return { ...record, steps, ...(reply && { reply: seal.open(reply, [id, 'reply']) }) };
  } catch (unreadable) {
    return { ...record, unreadable };
  }
}

function openedSteps(seal: Seal, id: string, steps: Steps): Steps {
  return new Map([...steps].map(([name, value]) => [name, seal.open(value, [id, 'step', name])]));
}
