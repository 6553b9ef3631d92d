import type { TimelineEntry } from '../timeline/timeline-entry.js';

/** What a worker tells the shop that has started it. */
export type WorkerMessage = { readonly url: string } | { readonly entry: TimelineEntry };
