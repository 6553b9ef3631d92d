export const PLATFORMS = ['express', 'fastify'] as const;
export type Platform = (typeof PLATFORMS)[number];

/** What is measured, in the order in which it is measured and printed. */
export const SUBJECTS = {
  bare: 'bare handler',
  undecorated: 'module imported, handler without @Idempotent()',
  'do-nothing': 'interceptor that does nothing',
  'hand-written': 'hand-written minimum, first call',
  first: '@Idempotent(), first call',
  replay: '@Idempotent(), replay',
} as const;
export type Subject = keyof typeof SUBJECTS;
export const SUBJECT_NAMES = Object.keys(SUBJECTS) as Subject[];

/** What the others are compared with: the cost of Nest calling an interceptor at all. */
export const BASELINE = 'do-nothing' satisfies Subject;
