/** Where in a value something is, from the inside out. */
export interface Path {
  readonly outer: Path | undefined;
  readonly key: PropertyKey | Inside;
}

/** Members that have no name. */
export enum Inside {
  key,
  value,
  item,
  data,
}

/** What a value contains that a record cannot keep. */
export class NotKeepableError extends Error {
  override readonly name = 'NotKeepableError';
  /** Where it is in the value, such as `value.lines[].total`. Shows names, never content. */
  readonly path: string;

  /**
   * @param kind what it is, such as `a function` or `a Money object`
   * @param because to follow the kind: `which has accessors`; empty if the kind says it all
   * @param isOfClass whether naming its class helps
   */
  constructor(
    path: Path | undefined,
    readonly kind: string,
    readonly because = '',
    readonly isOfClass = false,
  ) {
    const place = shown(path);
    super(`${place} is ${kind}${because === '' ? '' : `, which ${because}`}`);
    this.path = place;
  }
}

/** What stood in the way of keeping a value. A value whose own code throws is in the way itself. */
export function notKeepable(error: unknown): NotKeepableError {
  if (error instanceof NotKeepableError) return error;
  return new NotKeepableError(undefined, 'something', `cannot be read (${kindOf(error)})`);
}

/** Why replies of a handler are not kept, and how to change that. */
export function notKeptWarning(name: string, error: NotKeepableError): string {
  return `A reply of ${name} was not kept: ${error.message}. Retries are refused with IDEMPOTENCY_REPLY_NOT_KEPT. ${remedyOf(error)}`;
}

/** The same for what a step returned. */
export function stepNotKeptWarning(name: string, step: string, error: NotKeepableError): string {
  return `The result of ${shownStep(step)} of ${name} was not kept: ${error.message}. If the operation is attempted again and comes to this step, it is held. ${remedyOf(error)}`;
}

function remedyOf({ isOfClass }: NotKeepableError): string {
  return isOfClass
    ? 'Name its class in `returns`, or register it in the module option `types`, or return plain data.'
    : 'Return plain data without it.';
}

/** Names that a program gives to members. Any other key may be content, such as an address. */
const NAME = /^[A-Za-z_$][\w$]{0,39}$/;

/** Names with figures may contain keys, such as the number of an order. */
const STEP_NAME = /^[A-Za-z][A-Za-z _.:-]{0,39}$/;

/** A step in logs and reasons: its name, unless that may show content. */
export function shownStep(name: string): string {
  return STEP_NAME.test(name) ? `step "${name}"` : 'a step';
}

function shown(path: Path | undefined): string {
  if (path === undefined) return 'value';
  const { key, outer } = path;
  const before = shown(outer);
  switch (key) {
    case Inside.data:
      return before;
    case Inside.key:
      return `${before}.keys()`;
    case Inside.value:
      return `${before}.get()`;
    case Inside.item:
      return `${before}[]`;
    default:
      if (typeof key === 'symbol') return `${before}[symbol]`;
      return NAME.test(String(key)) ? `${before}.${String(key)}` : `${before}[…]`;
  }
}

/** Describes an object by its class: `a Money object`. */
export function kindOf(value: unknown): string {
  if (typeof value !== 'object' || value === null) return `a ${typeof value}`;
  const prototype = Object.getPrototypeOf(value) as { readonly constructor?: unknown } | null;
  const type = prototype?.constructor;
  const name = typeof type === 'function' && type.name !== '' ? type.name : 'nameless';
  return `${/^[AEIOU]/.test(name) ? 'an' : 'a'} ${name.slice(0, 60)} object`;
}
