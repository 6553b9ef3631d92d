import { Inject, Optional } from '@nestjs/common';
import { notProtected } from '../../handlers/not-protected.js';
import { bypass } from '../../operation/handler-run.js';
import { shared } from '../../operation/shared.js';

/** A protected method, and how it is called. */
export interface CalledMethod {
  /** The function that `@Idempotent()` made from the method. */
  readonly method: object;
  readonly name: string | symbol;
  readonly instance: unknown;
  readonly args: readonly unknown[];
}

/** Calls the protected provider methods of an application. */
export interface MethodCaller {
  /**
   * Runs the method once per key, or as part of the running operation.
   *
   * @throws {@link IdempotencyException} `IDEMPOTENCY_NOT_PROTECTED` if neither is possible
   */
  call(call: CalledMethod, run: () => unknown): unknown;
}

/** The injection token that every class with a protected method gets. */
export const METHOD_CALLER = Symbol.for('nestjs-idempotency:method-caller');

/** By instance, because several applications in one process may use the same class. */
const callers = shared('method-callers', () => new WeakMap<object, MethodCaller>());

/** The callers of all applications in this process, in the order in which they started. */
const running = shared('running-callers', () => new Set<MethodCaller>());

/** Runs the calls within `unprotected()`. */
const UNPROTECTED: MethodCaller = { call: (_call, run) => run() };

/**
 * The caller of the application that an instance belongs to: the one that was injected, or else the
 * only one in this process. The latter serves instances that Nest did not create (with `new`, by a
 * factory, by `ModuleRef.create()` of a module that does not see ours, behind a proxy).
 *
 * @throws {@link IdempotencyException} `IDEMPOTENCY_NOT_PROTECTED` if there are several, or none
 */
export function callerOf(instance: unknown, name: string | symbol): MethodCaller {
  if (bypass.getStore() === true) return UNPROTECTED;
  const own = typeof instance === 'object' && instance !== null ? callers.get(instance) : undefined;
  if (own !== undefined) return own;
  const [first, ...others] = running;
  if (first !== undefined && others.length === 0) return first;
  throw notProtected(placeOf(instance, name), first === undefined ? NONE : SEVERAL);
}

/** From now on, instances without an injected caller may belong to this application. */
export function started(caller: MethodCaller): void {
  running.add(caller);
}

export function stopped(caller: MethodCaller): void {
  running.delete(caller);
}

/**
 * Makes Nest inject the application's caller into every instance of a class, whatever its scope.
 */
export function injectCaller(prototype: object): void {
  if (Object.hasOwn(prototype, METHOD_CALLER)) return;
  Object.defineProperty(prototype, METHOD_CALLER, {
    configurable: true,
    get(this: object) {
      return callers.get(this);
    },
    set(this: object, caller: MethodCaller | undefined) {
      if (caller !== undefined) callers.set(this, caller);
    },
  });
  Inject(METHOD_CALLER)(prototype, METHOD_CALLER);
  Optional()(prototype, METHOD_CALLER);
}

/** Like {@link injectCaller}, for one instance. */
export function adopt(instance: unknown, caller: MethodCaller): void {
  if (typeof instance === 'object' && instance !== null && METHOD_CALLER in instance)
    callers.set(instance, caller);
}

const NONE =
  'no application with IdempotencyModule runs in this process. Import IdempotencyModule. In a unit test, call the method within unprotected() of nestjs-idempotency/testing.';
const SEVERAL =
  'several applications with IdempotencyModule run in this process, and none of them made the object. Let Nest create it, as a provider of a module that imports IdempotencyModule.';

function placeOf(instance: unknown, name: string | symbol): string {
  const type =
    typeof instance === 'object' && instance !== null ? instance.constructor?.name : undefined;
  return type ? `${type}.${String(name)}` : String(name);
}
