/**
 * What drivers and servers hang on an error: the command or statement with its values, such as a key, a
 * reply or the result of a step; and the row that a constraint has refused.
 */
const CONTENT = [
  'command',
  'sql',
  'query',
  'internalQuery',
  'parameters',
  'params',
  'args',
  'values',
  'bindings',
  'detail',
];

/** Where an error has those that it wraps. */
const WRAPPED = [
  'cause',
  'driverError',
  'original',
  'parent',
  'errors',
  'previousErrors',
  'lastNodeError',
  'meta',
  'driverAdapterError',
];

/** PostgreSQL may say here which values a statement had (`log_parameter_max_length_on_error`). */
const WITH_VALUES = /\bparameter/;

/**
 * Takes from an error of a driver, and from all that it wraps, what was sent to the store or read from
 * it. Errors end up in logs, on events and at error trackers, where no reply and no key may be. What
 * tells the reason stays: message, code, SQLSTATE, table, constraint, stack.
 *
 * @returns the same error, or a copy of one that cannot be changed
 */
export function withoutContent<T>(error: T): T {
  return stripped(error, new Map()) as T;
}

/** @param seen what became of the errors that were met before: they may wrap each other */
function stripped(error: unknown, seen: Map<object, object>): unknown {
  if (typeof error !== 'object' || error === null) return error;
  const known = seen.get(error);
  if (known !== undefined) return known;
  const isPlain = CONTENT.every((name) => Reflect.deleteProperty(error, name));
  const plain = isPlain ? error : copyOf(error);
  seen.set(error, plain);
  const facts = plain as Record<string, unknown>;
  if (typeof facts['where'] === 'string' && WITH_VALUES.test(facts['where'])) facts['where'] = '';
  for (const name of WRAPPED) {
    const wrapped = facts[name];
    const bare = Array.isArray(wrapped)
      ? wrapped.map((one) => stripped(one, seen))
      : stripped(wrapped, seen);
    // Some cannot be set, and need not be.
    if (bare !== wrapped) Reflect.set(plain, name, bare);
  }
  return plain;
}

/** The error without its content. postgres.js locks what it hangs on an error. */
function copyOf(error: object): object {
  const facts: Record<string, PropertyDescriptor> = Object.getOwnPropertyDescriptors(error);
  for (const name of CONTENT) Reflect.deleteProperty(facts, name);
  const copy = error instanceof Error ? new Error(error.message) : {};
  Object.setPrototypeOf(copy, Object.getPrototypeOf(error) as object | null);
  return Object.defineProperties(copy, facts);
}

/**
 * The reason of a failure, in words. Where a name has several addresses, Node's own error has no message:
 * those of its parts say why each address failed.
 */
export function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const parts = error instanceof AggregateError ? error.errors.map(messageOf) : [];
  return error.message || parts.join('; ') || error.name;
}
