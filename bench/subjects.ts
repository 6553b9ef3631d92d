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
    },
  },
  redis: WITH_SERVER,
  postgres: WITH_SERVER,
};

/** Sent again and again, so that all but the first are replays. */
export function isReplay(subject: Subject): boolean {
  return subject === 'replay' || subject === 'hand-written-replay';
}
