export const PLATFORMS = ['express', 'fastify'] as const;
export type Platform = (typeof PLATFORMS)[number];

/** Where records are kept. */
export const STORES = ['memory', 'redis', 'postgres'] as const;
export type Store = (typeof STORES)[number];

export const SUBJECTS = {
  bare: 'bare handler',
  undecorated: 'module imported, handler without @Idempotent()',
  'do-nothing': 'interceptor that does nothing',
  'hand-written': 'hand-written minimum, first call',
  'hand-written-replay': 'hand-written minimum, replay',
  first: '@Idempotent(), first call',
  replay: '@Idempotent(), replay',
  'replay-one': '@Idempotent(), replay of one key only',
} as const;
export type Subject = keyof typeof SUBJECTS;

/** What is measured side by side with one store. */
export interface Comparison {
  readonly connections: number;
  /** In the order in which they are printed, each with what it is compared with. */
  readonly baselines: Partial<Readonly<Record<Subject, Subject>>>;
}

/** Over a network the least that somebody would write; in memory what Nest itself costs. */
const WITH_SERVER: Comparison = {
  connections: 50,
  baselines: {
    bare: 'hand-written',
    'hand-written': 'hand-written',
    first: 'hand-written',
    'hand-written-replay': 'hand-written-replay',
    replay: 'hand-written-replay',
    'replay-one': 'hand-written-replay',
  },
};

export const COMPARISONS: Readonly<Record<Store, Comparison>> = {
  memory: {
    connections: 10,
    baselines: {
      bare: 'do-nothing',
      undecorated: 'do-nothing',
      'do-nothing': 'do-nothing',
      'hand-written': 'do-nothing',
      first: 'do-nothing',
      replay: 'do-nothing',
      'replay-one': 'do-nothing',
    },
  },
  redis: WITH_SERVER,
  postgres: WITH_SERVER,
};

/**
 * How many keys are sent again and again; `undefined` where each is sent once. With a single key, calls
 * that are under way share one look-up of the process, which no application would see.
 */
export function repeatedKeys(subject: Subject): number | undefined {
  if (subject === 'replay-one') return 1;
  return subject === 'replay' || subject === 'hand-written-replay' ? MANY_KEYS : undefined;
}

export const MANY_KEYS = 500;
