/** The error that an operation is held for: what it is called, and its message without values. */
export interface RecordedFailure {
  readonly name: string;
  readonly message: string;
}

/** Who settled an operation, and why. */
export interface SettledBy {
  /** A name that the operator's colleagues know. */
  readonly by: string;
  readonly reason: string;
}

/**
 * What a record tells operators about its operation. All times are in milliseconds since 1970, by the
 * store's clock. Parts that are not known are absent, as in records that an older release wrote.
 */
export interface RecordStory {
  /** `METHOD /route/template`, or the scope that was given. */
  readonly scope?: string;
  /** What the application calls the operation, such as an order number. */
  readonly label?: string;
  /** When the record was made. */
  readonly createdAt?: number;
  /** When the last attempt began. */
  readonly claimedAt?: number;
  /** When the operation was held the last time. It stays after the operation was settled. */
  readonly heldAt?: number;
  /** How long the reply would have been kept, in milliseconds. Known since the operation was held. */
  readonly keepsForMs?: number;
  /** The error that the operation was held for, if it was one. */
  readonly failure?: RecordedFailure;
  /** When somebody settled it. */
  readonly settledAt?: number;
  readonly settledBy?: SettledBy;
}

/** The longest label, in characters. What is longer is cut. */
export const MAX_LABEL_LENGTH = 200;
const MAX_NAME_LENGTH = 60;
const MAX_MESSAGE_LENGTH = 200;

/**
 * What a record keeps of an error. Values are replaced by an ellipsis: what stands in quotes or in
 * parentheses, e-mail addresses, and numbers of six digits or more. Drivers and providers put
 * parameters into their messages.
 */
export function failureOf(error: unknown): RecordedFailure | undefined {
  if (error === undefined || error === null) return undefined;
  if (!(error instanceof Error)) return { name: typeof error, message: '' };
  const name = textOf(error.name) || 'Error';
  return { name: cut(name, MAX_NAME_LENGTH), message: withoutValues(textOf(error.message)) };
}

/** Whatever an application puts there, the operation must be held. */
function textOf(given: unknown): string {
  return typeof given === 'string' ? given : '';
}

function withoutValues(message: string): string {
  const [firstLine = ''] = message.slice(0, 4 * MAX_MESSAGE_LENGTH).split('\n', 1);
  const plain = firstLine
    .replaceAll(/(?<!\w)'[^']*'|"[^"]*"|`[^`]*`|\([^()]*\)/g, '…')
    .replaceAll(/\S+@\S+/g, '…')
    .replaceAll(/\d(?:[ -]?\d){5,}/g, '…');
  return cut(plain, MAX_MESSAGE_LENGTH);
}

/** At most so many characters. */
export function cut(text: string, length: number): string {
  return text.length <= length ? text : `${text.slice(0, length - 1)}…`;
}

/** What a store keeps of a hold besides its reason, as text. */
export function heldNote(held: Pick<RecordStory, 'failure'> & { readonly ttlMs?: number }): string {
  const { ttlMs: keepsForMs, failure } = held;
  return JSON.stringify({ keepsForMs, failure });
}

/** What a store keeps of a settlement, as text; empty if nobody said who and why. */
export function settledNote(settledBy: SettledBy | undefined): string {
  return settledBy === undefined
    ? ''
    : JSON.stringify({ by: settledBy.by, reason: settledBy.reason });
}

/** The parts of a story as a store keeps them. Empty texts, `null` and `undefined` are absent. */
export interface StoredStory {
  readonly scope: string;
  readonly label: string;
  readonly createdAt: unknown;
  readonly claimedAt: unknown;
  readonly heldAt: unknown;
  readonly heldNote: string;
  readonly settledAt: unknown;
  readonly settledNote: string;
}

export function storyOf(stored: StoredStory): RecordStory {
  const { scope, label, heldNote: held, settledNote: settled } = stored;
  return {
    ...(scope !== '' && { scope }),
    ...(label !== '' && { label }),
    ...timeIn('createdAt', stored.createdAt),
    ...timeIn('claimedAt', stored.claimedAt),
    ...timeIn('heldAt', stored.heldAt),
    ...(held !== '' && (JSON.parse(held) as Pick<RecordStory, 'failure' | 'keepsForMs'>)),
    ...timeIn('settledAt', stored.settledAt),
    ...(settled !== '' && { settledBy: JSON.parse(settled) as SettledBy }),
  };
}

function timeIn(name: keyof RecordStory, time: unknown): RecordStory {
  const ms = Number(time ?? 0);
  return ms > 0 ? { [name]: ms } : {};
}

const NO_END = 'without an end';
const ALL_FAILED = /^(its only attempt|all \d+ attempts) failed$/;
const LAST_ATTEMPT = ', in its last attempt';

/** Why an operation is held whose last attempt never ended. */
export function withoutEnd(times: number): string {
  return `attempted ${times} times, ${NO_END}`;
}

/** Why an operation is held whose last attempt has failed. */
export function allFailed(attempt: number): string {
  return attempt === 1 ? 'its only attempt failed' : `all ${attempt} attempts failed`;
}

/** Why an operation is held that was to be held when it fails. */
export function failedWith(status: number, isLast: boolean): string {
  return `failed with status ${status}${isLast ? LAST_ATTEMPT : ''}`;
}

/** True for a reason that says that no attempt is left. */
export function isUsedUp(reason: string): boolean {
  return reason.endsWith(NO_END) || reason.endsWith(LAST_ATTEMPT) || ALL_FAILED.test(reason);
}
