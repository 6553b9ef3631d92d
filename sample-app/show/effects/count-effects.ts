import 'reflect-metadata';
import { EFFECT_OF, type Effects, type Handler } from './effects.js';

/** How often each handler body has run since this process started. */
export const counts = Object.fromEntries(
  Object.values(EFFECT_OF).map((effect) => [effect, 0]),
) as Effects;

const uncounted = new Set(Object.keys(EFFECT_OF));

/**
 * Counts a call, then lets it pass. Each handler gets this one beneath all of its decorators, so
 * neither a replay nor a refusal of `@Idempotent()` comes through, and nothing that a pipe refused.
 * An interceptor of Nest would count what pipes refuse, and never sees queues and timers.
 */
const countsEffects: MethodDecorator = (target, property, descriptor: PropertyDescriptor) => {
  const name = `${target.constructor.name}.${String(property)}`;
  if (!Object.hasOwn(EFFECT_OF, name)) return;
  const effect = EFFECT_OF[name as Handler];
  const body = descriptor.value as (this: unknown, ...args: unknown[]) => unknown;
  const counting = function (this: unknown, ...args: unknown[]): unknown {
    counts[effect] += 1;
    return body.apply(this, args);
  };
  Object.defineProperty(counting, 'name', { value: body.name });
  descriptor.value = counting;
  uncounted.delete(name);
};

// Compiled classes pass their decorators through here; the last one stands closest to the method.
// Therefore this module is imported before the shop is.
const { decorate } = Reflect as unknown as { decorate: Decorate };
Object.assign(Reflect, {
  decorate: (
    decorators: unknown[],
    target: object,
    property?: PropertyKey,
    descriptor?: unknown,
  ) =>
    property === undefined || descriptor === undefined
      ? decorate(decorators, target, property, descriptor)
      : decorate([...decorators, countsEffects], target, property, descriptor),
});

type Decorate = (
  decorators: unknown[],
  target: object,
  property?: PropertyKey,
  descriptor?: unknown,
) => unknown;

/** @throws when a handler that should be counted was renamed, or loaded before this module */
export function assertEffectsAreCounted(): void {
  if (uncounted.size > 0) throw new Error(`Not counted: ${[...uncounted].join(', ')}.`);
}
