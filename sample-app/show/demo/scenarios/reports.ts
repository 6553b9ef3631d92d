import type { Scenario } from '../scenario.js';

/** When the demo has reports written: often enough to wait for, and not twice at once. */
export const REPORT_CRON = '*/15 * * * * *';

export const reports: readonly Scenario[] = [
  {
    id: 'S16',
    title: 'a report when its time has come',
    route: 'CRON reports',
    runs: 1,
    async play(visitor, ran) {
      await visitor.untilRan(this.route, ran + 1);
      return [];
    },
  },
];
