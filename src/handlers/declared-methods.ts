import type { InstanceWrapper } from '@nestjs/core/injector/instance-wrapper.js';
import { type IdempotencyConfigurationError, wrongOption } from '../engine/configuration-error.js';
import type { CallKind } from '../keys/call.js';
import {
  DECORATED_METADATA,
  GENERATOR_METADATA,
  METHOD_METADATA,
  OPTIONS_METADATA,
  SKIPPED_METADATA,
} from '../options/metadata.js';
import type { Method } from './endpoint.js';

/** A protected method of a class. */
export interface Declared {
  readonly type: NewableFunction;
  /** `ClassName.methodName`. */
  readonly name: string;
  readonly methodName: string | symbol;
  /** As the class has it now: decorators above `@Idempotent()` may have wrapped it once more. */
  readonly method: Method;
  /** What `@Idempotent()` made of it. */
  readonly made: object;
}

/**
 * The protected methods of a class, its own and those that it inherits.
 *
 * @throws {@link IdempotencyConfigurationError} for a method that is meant to be protected, and is
 *   not: nobody would notice before something runs twice
 */
export function declaredMethods(
  type: NewableFunction,
  changesState: (method: object) => boolean,
): Declared[] {
  const declared: Declared[] = [];
  for (const [methodName, method] of methodsOf(type)) {
    const made = protectedMethod(type, methodName, method, changesState);
    if (made === undefined) continue;
    const name = `${type.name}.${methodName.toString()}`;
    declared.push({ type, name, methodName, method, made });
  }
  return declared;
}

/**
 * Refuses an object that has put something else in the place of a method that its class protects,
 * such as `this.pay = this.pay.bind(this)`: frameworks call what they find on the object.
 *
 * @throws {@link IdempotencyConfigurationError}
 */
export function checkInstance(type: NewableFunction, instance: unknown): void {
  if (typeof instance !== 'object' || instance === null) return;
  for (const name of Reflect.ownKeys(instance)) {
    const own: unknown = Object.getOwnPropertyDescriptor(instance, name)?.value;
    if (typeof own !== 'function' || Reflect.hasMetadata(METHOD_METADATA, own)) continue;
    const method: unknown = (type.prototype as Record<string | symbol, unknown>)[name];
    if (typeof method !== 'function' || !Reflect.hasMetadata(METHOD_METADATA, method)) continue;
    throw wrongOption(
      '@Idempotent()',
      `${type.name}.${String(name)}, which the object replaces by a function of its own`,
      'methods that stay as their class declares them',
      'Do not assign to the method (this.pay = this.pay.bind(this)): bind it where it is handed on, or copy its metadata onto the function that takes its place.',
    );
  }
}

/** The class of a controller or provider, also of one that is given or made by a factory. */
export function classOf({
  metatype,
  isNotMetatype,
  instance,
}: InstanceWrapper): NewableFunction | undefined {
  return isClass(isNotMetatype ? constructorOf(instance) : metatype);
}

/** The class of an object, also of one behind a proxy. */
export function constructorOf(instance: unknown): unknown {
  if (typeof instance !== 'object' || instance === null) return undefined;
  return (Object.getPrototypeOf(instance) as { constructor?: unknown } | null)?.constructor;
}

export function isClass(type: unknown): NewableFunction | undefined {
  if (typeof type !== 'function' || type === Object) return undefined;
  const prototype: unknown = type.prototype;
  return typeof prototype === 'object' && prototype !== null ? type : undefined;
}

/** Every method of a class by its name, symbols too; the one that is called, not those it overrides. */
export function* methodsOf(type: NewableFunction): Generator<[string | symbol, Method]> {
  const seen = new Set<string | symbol>(['constructor']);
  for (const prototype of prototypesOf(type)) {
    for (const name of Reflect.ownKeys(prototype)) {
      if (seen.has(name)) continue;
      seen.add(name);
      const method: unknown = Object.getOwnPropertyDescriptor(prototype, name)?.value;
      if (typeof method === 'function') yield [name, method as Method];
    }
  }
}

function* prototypesOf({ prototype }: NewableFunction): Generator<object> {
  let owner = prototype as object | null;
  for (
    ;
    owner !== null && owner !== Object.prototype;
    owner = Object.getPrototypeOf(owner) as object
  )
    yield owner;
}

/** The function that `@Idempotent()` made of a method; `undefined` for a method without it. */
function protectedMethod(
  target: NewableFunction,
  methodName: string | symbol,
  method: object,
  changesState: (method: object) => boolean,
): object | undefined {
  const made = Reflect.getMetadata(METHOD_METADATA, method) as object | undefined;
  if (made !== undefined || Reflect.hasMetadata(SKIPPED_METADATA, method)) return made;
  const given = `${target.name}.${methodName.toString()}`;
  const [owner, ...overridden] = [...prototypesOf(target)].filter((prototype) =>
    Object.hasOwn(prototype, methodName),
  );
  const isDecorated = (prototype: object): boolean =>
    Reflect.hasOwnMetadata(DECORATED_METADATA, prototype, methodName);
  if (isDecorated(owner!)) {
    throw wrongOption(
      '@Idempotent()',
      given,
      'a method that no decorator above it replaces without copying its metadata',
      'Put @Idempotent() above that decorator.',
    );
  }
  if (overridden.some(isDecorated)) {
    throw wrongOption(
      '@Idempotent()',
      `${given}, which overrides a protected method without the decorator`,
      'overrides that say for themselves whether they are protected',
      'Put @Idempotent() on the override (it may call super: that is one operation), or @SkipIdempotency() if it may run twice.',
    );
  }
  if (Reflect.hasMetadata(OPTIONS_METADATA, target) && changesState(method)) {
    throw wrongOption(
      '@Idempotent()',
      given,
      'a method of the class that carries the decorator',
      'The class inherits it, but has a method of its own: decorate the class, or the method.',
    );
  }
  return undefined;
}

/** Return types, as TypeScript's `emitDecoratorMetadata` names them, that have no one value. */
const STREAMS: ReadonlySet<string> = new Set([
  'Readable',
  'Duplex',
  'Transform',
  'PassThrough',
  'ReadableStream',
]);

/**
 * Refuses a method whose result has no one value: a stream has been read once it is on record, so that
 * the first caller would get nothing. Of a route, streams and iterables are replies like any other; what
 * frameworks call may answer with an observable, which they subscribe to.
 *
 * @throws {@link IdempotencyConfigurationError}
 */
export function checkResult({ type, name, methodName, made }: Declared, kind: CallKind): void {
  if (kind === 'http') return;
  const prototype = type.prototype as object;
  const returned: unknown = Reflect.getMetadata('design:returntype', prototype, methodName);
  const typeName = typeof returned === 'function' ? returned.name : '';
  if (STREAMS.has(typeName)) {
    throw manyValues(
      `${name}, which returns a ${typeName}`,
      'Return what the stream is made from, and open it outside of the protected method.',
    );
  }
  if (kind === 'method' && isObservableType(returned)) {
    throw manyValues(
      `${name}, which returns an Observable`,
      'Return a promise instead: lastValueFrom(observable).',
    );
  }
  if (Reflect.hasMetadata(GENERATOR_METADATA, made)) {
    throw manyValues(
      `${name}, a generator`,
      'Return the values as a list, or protect what is done for each of them with IdempotencyService.run().',
    );
  }
}

/** Also of another copy of RxJS, and a `Subject`. */
function isObservableType(type: unknown): boolean {
  for (let owner = type; typeof owner === 'function'; owner = Object.getPrototypeOf(owner))
    if (owner.name === 'Observable') return true;
  return false;
}

function manyValues(given: string, remedy: string): IdempotencyConfigurationError {
  return wrongOption(
    '@Idempotent()',
    given,
    'methods that return a value or a promise, and routes that return a StreamableFile',
    remedy,
  );
}
