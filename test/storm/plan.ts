import { Random } from '../support/random.js';

/** What stands around a handler, further out than its protection or between the two. */
export const OUTER_LAYERS = [
  'log',
  'retry',
  'retry later',
  'time-out',
  'cache',
  'map',
  'map that fails',
  'hedge',
  'subscribe twice',
  'stop when the client leaves',
  'serialise',
] as const;
export type OuterLayer = (typeof OUTER_LAYERS)[number];

/** Between protection and handler: a mapping that fails there would undo the work of a handler. */
export const INNER_LAYERS = ['log', 'retry', 'time-out', 'map'] as const;
export type InnerLayer = (typeof INNER_LAYERS)[number];
export type Layer = OuterLayer | InnerLayer;

/** What answers a request in the place of its handler. */
export const IMPATIENCES = ['none', 'middleware', 'response', 'platform'] as const;
export type Impatience = (typeof IMPATIENCES)[number];

/** How a handler is written, and what has been done to it. */
export const FORMS = [
  'plain',
  'response',
  'observable',
  'inherited',
  'overridden',
  'bound',
  'request-scoped',
  'wrapped on the prototype',
  'wrapped on the instance',
  'mounted twice',
  'versions',
  'on the class',
  'provider',
  'late provider',
  'message',
  'mutation',
] as const;
export type Form = (typeof FORMS)[number];

/** Where nothing else can be done, they are refused at boot, and the application is not tried. */
const MAY_BE_REFUSED: readonly Form[] = ['overridden', 'bound'];

export const CALLERS = ['header', 'user', 'credentials'] as const;
export type Callers = (typeof CALLERS)[number];

export interface HandlerPlan {
  readonly form: Form;
  readonly name: string;
  /** Outermost first. */
  readonly outer: readonly OuterLayer[];
  readonly inner: readonly InnerLayer[];
  readonly onError: 'default' | 'release' | 'store';
  readonly waitMs: number;
}

export interface CallPlan {
  readonly handler: number;
  /** The mount, or the version, of a handler that has two. */
  readonly variant: 0 | 1;
  readonly caller: string;
  readonly key: string;
  readonly amount: number;
  /** From the beginning of the run. */
  readonly startsAfterMs: number;
  /** The client leaves so long after it has sent the request. */
  readonly leavesAfterMs: number | undefined;
  readonly retries: number;
}

/** An application, and what is done to it. */
export interface StormPlan {
  readonly seed: number;
  readonly platform: 'express' | 'fastify';
  readonly callers: Callers;
  readonly transaction: boolean;
  /** Outermost first. */
  readonly global: readonly OuterLayer[];
  readonly onClass: readonly OuterLayer[];
  readonly filter: 'none' | 'reshapes' | 'answers by itself';
  readonly guard: boolean;
  readonly pipe: boolean;
  readonly impatience: Impatience;
  /** Some replies cannot be serialised. */
  readonly hasAwkwardReplies: boolean;
  readonly handlers: readonly HandlerPlan[];
  readonly calls: readonly CallPlan[];
}

export interface Limits {
  /** Work and its record may be one commit. */
  readonly hasTransactions: boolean;
  readonly calls: number;
  /** Leaves these layers, forms and the like out, so that others are seen. */
  readonly without?: readonly string[];
}

/** The same plan for the same seed. */
export function planOf(seed: number, { hasTransactions, calls, without = [] }: Limits): StormPlan {
  const random = new Random(seed);
  // Small seeds that follow each other begin alike otherwise.
  for (let skipped = 0; skipped < 3; skipped += 1) random.next();
  const platform = random.oneOf(['express', 'fastify'] as const);
  const wanted = <T extends string>(choices: readonly T[]): T[] =>
    choices.filter((choice) => !without.includes(choice));
  const some = <T extends string>(choices: readonly T[], most: number): T[] =>
    Array.from({ length: random.between(0, most + 1) }, () => random.oneOf(wanted(choices)));
  const callers = random.oneOf(wanted(CALLERS));
  const transaction = hasTransactions && random.isBelow(0.5);
  // A cache further out keeps what a transaction has not committed yet, and nobody takes it back.
  const outerLayers = OUTER_LAYERS.filter((layer) => !transaction || layer !== 'cache');
  const global = random.isBelow(0.5) ? some(outerLayers, 2) : [];
  const onClass = random.isBelow(0.3) ? some(outerLayers, 1) : [];
  const handlers = Array.from({ length: random.between(1, 4) }, (_, index): HandlerPlan => {
    const form = formFor(random, platform === 'express' && index === 0, wanted(FORMS));
    const inner = random.isBelow(0.3) ? some(INNER_LAYERS, 2) : [];
    return {
      form,
      name: `h${index}`,
      outer: random.isBelow(0.5) ? some(outerLayers, 2) : [],
      inner,
      onError: random.oneOf(['default', 'default', 'release', 'store']),
      waitMs: random.oneOf([0, 0, 200]),
    };
  });
  return {
    seed,
    platform,
    callers,
    transaction,
    global,
    onClass,
    filter: random.oneOf(['none', 'none', 'reshapes', 'answers by itself']),
    guard: random.isBelow(0.3),
    pipe: random.isBelow(0.3),
    impatience: random.isBelow(0.3) ? random.oneOf(wanted(IMPATIENCES)) : 'none',
    hasAwkwardReplies: random.isBelow(0.3) && !without.includes('awkward replies'),
    handlers,
    calls: callsOf(random, handlers.length, calls),
  };
}

function formFor(random: Random, mayBeMutation: boolean, forms: readonly Form[]): Form {
  // A schema takes long to build, and the driver of these tests knows one platform.
  if (mayBeMutation && random.isBelow(0.05)) return 'mutation';
  const drawn = random.oneOf(forms.filter((form) => form !== 'mutation'));
  return MAY_BE_REFUSED.includes(drawn) && random.isBelow(0.7) ? 'plain' : drawn;
}

function callsOf(random: Random, handlers: number, count: number): CallPlan[] {
  return Array.from({ length: count }, () => ({
    handler: random.between(0, handlers),
    variant: random.oneOf([0, 1] as const),
    caller: random.oneOf(['alice', 'bob']),
    key: random.oneOf(['k1', 'k2', 'k3']),
    amount: random.isBelow(0.06) ? 6 : 5,
    startsAfterMs: random.between(0, 25),
    leavesAfterMs: random.isBelow(0.3) ? random.between(0, 14) : undefined,
    retries: random.between(0, 3),
  }));
}

/** Callers that the library does not know by name have one space of keys; others get 422 there. */
export function sharesKeys({ callers, handlers }: StormPlan, place: string): boolean {
  if (callers !== 'credentials') return false;
  const handler = handlers.find(({ name }) => place.split(' ')[0] === name);
  return !['provider', 'late provider', 'message'].includes(handler?.form ?? '');
}

/** One line for a report. */
export function describePlan(plan: StormPlan): string {
  const { seed, platform, callers, transaction, global, onClass, filter, impatience } = plan;
  const parts = [
    `seed ${seed} on ${platform}`,
    `callers: ${callers}`,
    transaction && 'transaction',
    global.length > 0 && `everywhere: ${global.join(', ')}`,
    onClass.length > 0 && `on classes: ${onClass.join(', ')}`,
    filter !== 'none' && `filter ${filter}`,
    plan.guard && 'guard',
    plan.pipe && 'pipe',
    plan.hasAwkwardReplies && 'awkward replies',
    impatience !== 'none' && `impatient ${impatience}`,
    ...plan.handlers.map(
      ({ name, form, outer, inner, onError }) =>
        `${name}: ${[...outer, 'protection', ...inner, form].join(' > ')} (onError ${onError})`,
    ),
  ];
  return parts.filter((part) => part !== false).join('; ');
}
