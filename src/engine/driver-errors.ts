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
];

/** PostgreSQL may say here which values a statement had (`log_parameter_max_length_on_error`). */
const WITH_VALUES = /\bparameter/;

/**
 * Takes from an error of a driver, and from all that it wraps, what was sent to the store or read from
 * it. Errors end up in logs, on events and at error trackers, where no reply and no key may be. What
 * tells the reason stays: message, code, SQLSTATE, table, constraint, stack.
 *
 * @returns the same error
 */
export function withoutContent<T>(error: T): T {
  strip(error, new Set());
  return error;
}

function strip(error: unknown, seen: Set<object>): void {
  if (typeof error !== 'object' || error === null || seen.has(error)) return;
  seen.add(error);
  for (const name of CONTENT) if (Object.hasOwn(error, name)) Reflect.deleteProperty(error, name);
  const facts = error as Record<string, unknown>;
  if (typeof facts['where'] === 'string' && WITH_VALUES.test(facts['where'])) facts['where'] = '';
  for (const name of WRAPPED) {
    const wrapped = facts[name];
    if (Array.isArray(wrapped)) for (const one of wrapped) strip(one, seen);
    else strip(wrapped, seen);
  }
}
