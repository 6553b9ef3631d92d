import type { HandlerPlan, StormPlan } from './plan.js';

/** Simpler plans, the ones that leave out most at first. */
export function* simplerThan(plan: StormPlan): Generator<StormPlan> {
  const { handlers } = plan;
  if (plan.hasAwkwardReplies) yield { ...plan, hasAwkwardReplies: false };
  if (handlers.length > 1) for (const [index] of handlers.entries()) yield only(plan, index);
  if (plan.global.length > 0) yield { ...plan, global: [] };
  if (plan.onClass.length > 0) yield { ...plan, onClass: [] };
  if (plan.filter !== 'none') yield { ...plan, filter: 'none' };
  if (plan.impatience !== 'none') yield { ...plan, impatience: 'none' };
  if (plan.guard) yield { ...plan, guard: false };
  if (plan.pipe) yield { ...plan, pipe: false };
  if (plan.transaction) yield { ...plan, transaction: false };
  for (const [index] of plan.global.entries())
    yield { ...plan, global: plan.global.toSpliced(index, 1) };
  for (const [index, handler] of handlers.entries())
    for (const simpler of simplerHandlers(handler))
      yield { ...plan, handlers: handlers.with(index, simpler) };
  if (plan.callers !== 'header') yield { ...plan, callers: 'header' };
}

function* simplerHandlers(handler: HandlerPlan): Generator<HandlerPlan> {
  const { outer, inner, form } = handler;
  for (const [index] of outer.entries()) yield { ...handler, outer: outer.toSpliced(index, 1) };
  for (const [index] of inner.entries()) yield { ...handler, inner: inner.toSpliced(index, 1) };
  if (form !== 'plain') yield { ...handler, form: 'plain' };
  if (handler.onError !== 'default') yield { ...handler, onError: 'default' };
  if (handler.waitMs > 0) yield { ...handler, waitMs: 0 };
}

/** This handler alone; the calls of the others go to it. */
function only(plan: StormPlan, index: number): StormPlan {
  return {
    ...plan,
    handlers: [plan.handlers[index]!],
    calls: plan.calls.map((call) => ({ ...call, handler: 0 })),
  };
}

/** The simplest plan that still shows something, as far as leaving out one thing at a time leads. */
export async function shrink(
  plan: StormPlan,
  isBroken: (plan: StormPlan) => Promise<boolean>,
): Promise<StormPlan> {
  for (const simpler of simplerThan(plan))
    if (await isBroken(simpler)) return shrink(simpler, isBroken);
  return plan;
}
