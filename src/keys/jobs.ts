import { canonicalJson } from './canonical-json.js';
import { CALLER } from '../engine/waiting.js';
import { sha256 } from './record-id.js';

/**
 * The parts of a job of BullMQ or Bull that are read. Jobs are told by their members, so that neither
 * package need be installed.
 */
export interface Job {
  readonly id?: unknown;
  readonly name?: unknown;
  readonly data?: unknown;
  /** When it was put on the queue, in milliseconds since 1970. It never changes. */
  readonly timestamp?: unknown;
  readonly queueName?: unknown;
  /** How many attempts have failed. */
  readonly attemptsMade?: number;
  readonly opts?: { readonly attempts?: number };
  /** The lock of the worker that has it. BullMQ passes it to the processor as well. */
  readonly token?: unknown;
  /** True once `discard()` was called. */
  readonly discarded?: unknown;
  moveToDelayed?(untilMs: number, token: string): Promise<void>;
  /** Only of Bull: the job is not tried again, whatever its error. */
  discard?(): unknown;
}

export function isJob(value: unknown): value is Job {
  return (
    typeof value === 'object' &&
    value !== null &&
    'attemptsMade' in value &&
    'data' in value &&
    'opts' in value &&
    typeof (value as { readonly moveToFailed?: unknown }).moveToFailed === 'function'
  );
}

/** A job is a new object for every delivery, but it is the same work. */
export function contentOfJob(job: unknown): unknown {
  const { name, data } = (job ?? {}) as Job;
  return [name, data];
}

/**
 * What counts of the arguments of a method: of a job its name and data. Its lock and the signal that
 * tells it to stop belong to one delivery. `undefined` if there is nothing to leave out.
 */
export function contentOfArguments(args: readonly unknown[]): unknown {
  const job = args.find(isJob);
  if (job === undefined && !args.some(isSignal)) return undefined;
  return args.map((value) => {
    if (isJob(value)) return contentOfJob(value);
    return isSignal(value) || (value !== undefined && value === job?.token) ? null : value;
  });
}

function isSignal(value: unknown): value is AbortSignal {
  return value instanceof AbortSignal;
}

/** 128 bits are enough to tell the jobs of one key apart. */
const JOB_DIGITS = 32;

/**
 * A digest that is the same for every delivery of a job, although its data may change. `undefined` for
 * a job that cannot be told from another one with its id.
 */
export function identityOf(job: unknown): string | undefined {
  const { id, timestamp, queueName } = (job ?? {}) as Job;
  if (!isId(id) || typeof timestamp !== 'number') return undefined;
  return sha256(canonicalJson([queueName ?? null, String(id), timestamp])).slice(0, JOB_DIGITS);
}

/** Separates the content from the job in a fingerprint that contains a job. */
export const JOB = '~';

/**
 * True if a record belongs to the job that is asked about, whose data may have changed since, or to
 * another one with the same content.
 *
 * @param recorded the record's fingerprint
 */
export function isOfSameJob(recorded: string, asked: string): boolean {
  const [content = '', caller] = recorded.split(CALLER);
  const [askedContent = '', askedCaller] = asked.split(CALLER);
  const [digest, job] = content.split(JOB);
  const [askedDigest, askedJob] = askedContent.split(JOB);
  return caller === askedCaller && (digest === askedDigest || job === askedJob);
}

/**
 * The key of a job: its id. Ids that the queue counts begin again when the queue is emptied, so the
 * moment at which the job was made is part of them. BullMQ refuses ids of applications that are whole
 * numbers, or have a colon.
 */
export function keyOfJob({ id, timestamp }: Job): string | undefined {
  if (!isId(id)) return undefined;
  const text = String(id);
  return isCounted(text) && typeof timestamp === 'number' ? `${text}:${timestamp}` : text;
}

function isId(id: unknown): id is string | number {
  return typeof id === 'string' || typeof id === 'number';
}

/** True for an id that the queue made by counting. */
export function isCounted(id: string): boolean {
  return /^\d+$/.test(id);
}

/** Names of BullMQ's errors for a job that has already been moved to another place of the queue. */
const MOVED: ReadonlySet<string> = new Set([
  'DelayedError',
  'WaitingError',
  'WaitingChildrenError',
]);
/** Their own messages, because a bundler may have renamed the classes. */
const MOVED_TO: ReadonlySet<unknown> = new Set([
  'bullmq:movedToDelayed',
  'bullmq:movedToWait',
  'bullmq:movedToWaitingChildren',
]);
/** BullMQ knows this error by its message. */
const RATE_LIMITED = 'bullmq:rateLimitExceeded';
/** The messages that BullMQ gives its errors begin so. */
const OF_BULLMQ = 'bullmq:';

/**
 * True for an error that says "not now": the job goes on later, so this is neither a failure nor a
 * result. Decides as BullMQ does.
 *
 * @param isOfJob false for code that a processor may have called. There, an application may have errors
 *   with these names, so only those that BullMQ has made itself count
 */
export function isNotNow(error: unknown, isOfJob: boolean): boolean {
  const { message } = (error ?? {}) as { readonly message?: unknown };
  if (message === RATE_LIMITED) return true;
  if (MOVED_TO.has(message)) return true;
  if (!isNamed(error, MOVED)) return false;
  return isOfJob || (typeof message === 'string' && message.startsWith(OF_BULLMQ));
}

const FINAL = 'UnrecoverableError';
const UNRECOVERABLE: ReadonlySet<string> = new Set([FINAL]);

/** The message of such an error if the application gave none. */
const UNRECOVERABLE_MESSAGE = 'bullmq:unrecoverable';

/** True for an error after which the queue does not try again. */
export function isUnrecoverable(error: unknown): boolean {
  const { message } = (error ?? {}) as { readonly message?: unknown };
  return message === UNRECOVERABLE_MESSAGE || isNamed(error, UNRECOVERABLE);
}

/** True for an error with one of the names, or of a class derived from one that has it. */
function isNamed(error: unknown, names: ReadonlySet<string>): boolean {
  if (typeof error !== 'object' || error === null) return false;
  const { name } = error as { readonly name?: unknown };
  if (typeof name === 'string' && names.has(name)) return true;
  for (let type: unknown = error.constructor; typeof type === 'function';) {
    if (names.has(type.name)) return true;
    type = Object.getPrototypeOf(type);
  }
  return false;
}

/** Decides as the queues do whether a job has failed for good. */
export function isLastAttempt({ attemptsMade = 0, opts, discarded }: Job, error: unknown): boolean {
  return isUnrecoverable(error) || discarded === true || attemptsMade + 1 >= (opts?.attempts ?? 1);
}

/** Known to BullMQ by its name: the job has been moved, so its worker takes another one. */
class DelayedError extends Error {
  override readonly name = 'DelayedError';
}

/**
 * Gives a job back to its queue for a while. This is not a failed attempt, and its worker is free for
 * other jobs. Returns for a job that cannot be given back (Bull has no such verb).
 *
 * @throws an error that tells BullMQ's worker that the job has been moved
 */
export async function postpone(job: unknown, token: unknown, delayMs: number): Promise<void> {
  const moved = job as Job | undefined;
  if (typeof token !== 'string' || typeof moved?.moveToDelayed !== 'function') return;
  await moved.moveToDelayed(Date.now() + delayMs, token);
  throw new DelayedError('bullmq:movedToDelayed');
}

/** An error by which the queue still knows, after it was on record, that it must not try again. */
export function keptJobError(error: unknown): unknown {
  return isUnrecoverable(error) ? finalError(error) : error;
}

/**
 * Makes a job fail for good, because another attempt would change nothing.
 *
 * @returns the error to throw to its queue: BullMQ knows by its name that the job is not tried again
 */
export function failForGood(job: unknown, error: unknown): unknown {
  const ofBull = job as Job | undefined;
  if (typeof ofBull?.discard !== 'function') return finalError(error);
  ofBull.discard();
  return error;
}

function finalError(error: unknown): unknown {
  const { name, message = String(error), stack } = (error ?? {}) as Partial<Error>;
  if (name === FINAL) return error;
  return Object.assign(new Error(message, { cause: error }), { name: FINAL, stack });
}
