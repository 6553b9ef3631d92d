import type { InstanceWrapper } from '@nestjs/core/injector/instance-wrapper.js';
import { Observable } from 'rxjs';
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
  /**
   * The method as the class has it now: decorators above `@Idempotent()` may have wrapped it again.
   */
  readonly method: Method;
  /** What `@Idempotent()` made of it. */
  readonly made: object;
}

/**
 * The protected methods of a class, its own and those that it inherits.
 *
 * @throws {@link IdempotencyConfigurationError} for a method that should be protected but is not:
 *   nobody would notice before something runs twice
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
 * Refuses an object that has replaced a protected method of its class, such as with
 * `this.pay = this.pay.bind(this)`: frameworks call what they find on the object.
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
      `${type.name}.${String(name)}, which the object replaces with its own function`,
      'methods that objects do not replace',
      'Do not assign to the method (this.pay = this.pay.bind(this)). Bind it where you pass it on, or copy its metadata to the function that replaces it.',
    );
  }
}

/**
 * The class of a controller or provider, including one that is given as a value or made by a
 * factory.
 */
export function classOf({
  metatype,
  isNotMetatype,
  instance,
}: InstanceWrapper): NewableFunction | undefined {
  return isClass(isNotMetatype ? constructorOf(instance) : metatype);
}

/** The class of an object, including one behind a proxy. */
export function constructorOf(instance: unknown): unknown {
  if (typeof instance !== 'object' || instance === null) return undefined;
  return (Object.getPrototypeOf(instance) as { constructor?: unknown } | null)?.constructor;
}

export function isClass(type: unknown): NewableFunction | undefined {
  if (typeof type !== 'function' || type === Object) return undefined;
  const prototype: unknown = type.prototype;
  return typeof prototype === 'object' && prototype !== null ? type : undefined;
}

/**
 * Every method of a class by its name or symbol: the one that is called, not those that it
 * overrides.
 */
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
      'a method whose outer decorators copy its metadata',
      'Put @Idempotent() above that decorator.',
    );
  }
  if (overridden.some(isDecorated)) {
    throw wrongOption(
      '@Idempotent()',
      `${given}, which overrides a protected method and has no decorator`,
      'overrides with their own decorator',
      'Put @Idempotent() on the override (if it calls super, that is still one operation), or @SkipIdempotency() if it may run twice.',
    );
  }
  if (Reflect.hasMetadata(OPTIONS_METADATA, target) && changesState(method)) {
    throw wrongOption(
      '@Idempotent()',
      given,
      'a method of the class that has the decorator',
      'The class inherits the decorator, but overrides the method. Decorate the class or the method.',
    );
  }
  return undefined;
}

/**
 * Return types, as TypeScript's `emitDecoratorMetadata` names them, that are not a single value.
 */
const STREAMS: ReadonlySet<string> = new Set([
  'Readable',
  'Duplex',
  'Transform',
  'PassThrough',
  'ReadableStream',
]);

/**
 * Refuses a method whose result is not a single value: recording a stream would consume it, so the
 * first caller would get nothing. For routes, streams and iterables are ordinary replies. Other
 * handlers that frameworks call may return an observable, to which the framework subscribes.
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
      'Return what the stream is made from, and open the stream outside the protected method.',
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
      'Return the values as a list, or protect the work for each of them with IdempotencyService.run().',
    );
  }
}

/** True for an `Observable`, even renamed by a bundler or from another copy of RxJS, and for a `Subject`. */
function isObservableType(type: unknown): boolean {
  for (let owner = type; typeof owner === 'function'; owner = Object.getPrototypeOf(owner))
    if (owner === Observable || owner.name === 'Observable') return true;
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
