import { Inject, Optional } from '@nestjs/common';
import { notProtected } from '../../handlers/not-protected.js';
import { bypass } from '../../operation/handler-run.js';
import { shared } from '../../operation/shared.js';

/** A protected method, and how it is called. */
export interface CalledMethod {
  /** What `@Idempotent()` made of the method. */
  readonly method: object;
  readonly name: string | symbol;
  readonly instance: unknown;
  readonly args: readonly unknown[];
}

/** What calls the methods of an application's providers. */
export interface MethodCaller {
  /**
   * Runs the method once per key, or as a part of the operation that is running.
   *
   * @throws {@link IdempotencyException} `IDEMPOTENCY_NOT_PROTECTED` where neither is possible
   */
  call(call: CalledMethod, run: () => unknown): unknown;
}

/** What Nest is asked for by every class that has a protected method. */
export const METHOD_CALLER = Symbol.for('nestjs-idempotency:method-caller');

/** By instance: the same class may be in several applications of one process. */
const callers = shared('method-callers', () => new WeakMap<object, MethodCaller>());

/** Of the applications that run in this process, in the order in which they started. */
const running = shared('running-callers', () => new Set<MethodCaller>());

/** Runs what tests ask for by `unprotected()`. */
const UNPROTECTED: MethodCaller = { call: (_call, run) => run() };

/**
 * The caller of the application that an instance belongs to: the one that injected it, else the only
 * one that runs in this process. Instances that Nest has not made (by `new`, by a factory, by
 * `ModuleRef.create()` of a module that does not see ours, behind a proxy) are found that way.
 *
 * @throws {@link IdempotencyException} `IDEMPOTENCY_NOT_PROTECTED` when it may be any of several, or none
 */
export function callerOf(instance: unknown, name: string | symbol): MethodCaller {
  if (bypass.getStore() === true) return UNPROTECTED;
  const own = typeof instance === 'object' && instance !== null ? callers.get(instance) : undefined;
  if (own !== undefined) return own;
  const [first, ...others] = running;
  if (first !== undefined && others.length === 0) return first;
  throw notProtected(placeOf(instance, name), first === undefined ? NONE : SEVERAL);
}

/** From now on instances that nobody has injected belong to this application as well. */
export function started(caller: MethodCaller): void {
  running.add(caller);
}

export function stopped(caller: MethodCaller): void {
  running.delete(caller);
}

/** Has Nest give every instance of a class, whatever its scope, the caller of its application. */
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

/** As {@link injectCaller}, for one instance. */
export function adopt(instance: unknown, caller: MethodCaller): void {
  if (typeof instance === 'object' && instance !== null && METHOD_CALLER in instance)
    callers.set(instance, caller);
}

const NONE =
  'no application with IdempotencyModule runs in this process. Import IdempotencyModule, or, in a unit test, call the method within unprotected() of nestjs-idempotency/testing.';
const SEVERAL =
  'several applications with IdempotencyModule run in this process, and none of them made the object. Have Nest make it, as a provider of a module that IdempotencyModule is imported into.';

function placeOf(instance: unknown, name: string | symbol): string {
  const type =
    typeof instance === 'object' && instance !== null ? instance.constructor?.name : undefined;
  return type ? `${type}.${String(name)}` : String(name);
}
