import { Inject, Optional } from '@nestjs/common';
import { shared } from '../../operation/shared.js';

/** What protects the methods of an application's providers. */
export interface InstanceEntry {
  /** `undefined` for a handler that frameworks call. */
  call(
    method: object,
    instance: object,
    args: readonly unknown[],
    run: () => unknown,
  ): Promise<unknown> | undefined;
}

/** What Nest is asked for by every class that has a protected method. */
export const METHOD_ENTRY = Symbol.for('nestjs-idempotency:method-entry');

/** By instance: the same class may be in several applications of one process. */
const entries = shared('method-entries', () => new WeakMap<object, InstanceEntry>());

/** The entry of the application that an instance belongs to; `undefined` outside of one. */
export function entryOf(instance: unknown): InstanceEntry | undefined {
  return typeof instance === 'object' && instance !== null ? entries.get(instance) : undefined;
}

/** Has Nest give every instance of a class, whatever its scope, the entry of its application. */
export function injectEntry(prototype: object): void {
  if (Object.hasOwn(prototype, METHOD_ENTRY)) return;
  Object.defineProperty(prototype, METHOD_ENTRY, {
    configurable: true,
    get(this: object) {
      return entries.get(this);
    },
    set(this: object, entry: InstanceEntry | undefined) {
      if (entry !== undefined) entries.set(this, entry);
    },
  });
  Inject(METHOD_ENTRY)(prototype, METHOD_ENTRY);
  Optional()(prototype, METHOD_ENTRY);
}

/** As {@link injectEntry}, for one instance. */
export function adopt(instance: unknown, entry: InstanceEntry): void {
  if (typeof instance === 'object' && instance !== null && METHOD_ENTRY in instance)
    entries.set(instance, entry);
}
