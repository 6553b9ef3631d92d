import { AsyncLocalStorage } from 'node:async_hooks';
import { randomUUID } from 'node:crypto';
import {
  Injectable,
  type BeforeApplicationShutdown,
  type MessageEvent,
  type OnModuleInit,
} from '@nestjs/common';
import { type IdempotencyEvent, IdempotencyService } from 'nestjs-idempotency';
import { concat, defer, from, map, merge, type Observable, Subject, takeUntil, timer } from 'rxjs';
import type { Ended, Started, TimelineEntry } from './timeline-entry.js';

/** How many entries are kept for those who come later. */
const KEPT = 400;
const HEARTBEAT_MS = 15_000;
/** The events that an operation ends with. */
const LAST: ReadonlySet<IdempotencyEvent['type']> = new Set(['stored', 'released', 'held']);

type Fresh<Entry extends TimelineEntry> = Omit<Entry, 'entry' | 'call' | 'at'>;

/**
 * What happens in the shop, as it happens. The library says what became of an operation while the
 * call that it belongs to is being handled, so the call is the one of the present async context.
 */
@Injectable()
export class Timeline implements OnModuleInit, BeforeApplicationShutdown {
  /** Another one after every start: numbers of before mean nothing any more. */
  private readonly run = randomUUID().slice(0, 8);
  private readonly present = new AsyncLocalStorage<string>();
  /** Work that began outside of a call, by the id of its record. */
  private readonly background = new Map<string, string>();
  private readonly kept: TimelineEntry[] = [];
  private readonly added = new Subject<TimelineEntry>();
  private readonly closing = new Subject<void>();
  private entries = 0;
  private calls = 0;

  constructor(private readonly idempotency: IdempotencyService) {}

  /** Every entry from here on. */
  get entries$(): Observable<TimelineEntry> {
    return this.added;
  }

  onModuleInit(): void {
    this.idempotency.events$.subscribe((event) => this.report(event));
  }

  /** A server does not close while somebody listens. */
  beforeApplicationShutdown(): void {
    this.closing.next();
  }

  /** Begins a call and returns its name. */
  begin(started: Fresh<Started>): string {
    this.calls += 1;
    const call = `${this.run}-${this.calls}`;
    this.add({ entry: 'started', call, at: Date.now(), ...started });
    return call;
  }

  /** Runs what is part of a call. */
  within<T>(call: string, work: () => T): T {
    return this.present.run(call, work);
  }

  end(call: string, ended: Fresh<Ended>): void {
    this.add({ entry: 'ended', call, at: Date.now(), ...ended });
  }

  add(entry: TimelineEntry): void {
    this.entries += 1;
    this.kept.push(entry);
    if (this.kept.length > KEPT) this.kept.shift();
    this.added.next(entry);
  }

  /** The entries behind the one that a listener heard last, and all that follow. */
  listen(lastEventId = ''): Observable<MessageEvent> {
    // Not before somebody subscribes: nothing may come between what is kept and what follows.
    const entries = defer(() => this.behind(lastEventId));
    const heartbeat = timer(HEARTBEAT_MS, HEARTBEAT_MS).pipe(
      map(() => ({ comment: 'still here' })),
    );
    return merge(entries, heartbeat).pipe(takeUntil(this.closing)) as Observable<MessageEvent>;
  }

  private behind(lastEventId: string): Observable<MessageEvent> {
    const [run, heard] = lastEventId.split('.');
    const first = this.entries - this.kept.length;
    const asked = run === this.run ? Number(heard) || 0 : 0;
    const known = Math.min(Math.max(asked, first), this.entries);
    const missed = this.kept.slice(known - first);
    const idOf = (number: number): string => `${this.run}.${number}`;
    const hello = { type: 'hello', id: idOf(known), data: { run: this.run, now: Date.now() } };
    const entries = concat(from(missed), this.added).pipe(
      map((data, index) => ({ type: 'entry', id: idOf(known + index + 1), data })),
    );
    return concat([hello], entries);
  }

  private report(event: IdempotencyEvent): void {
    const call = this.present.getStore() ?? this.backgroundCall(event);
    this.add({
      entry: 'happened',
      call,
      at: Date.now(),
      type: event.type,
      scope: event.scope,
      ...('attempt' in event && { attempt: event.attempt }),
      ...('durationMs' in event && { durationMs: event.durationMs }),
      ...('code' in event && { code: event.code }),
    });
    if (this.present.getStore() === undefined) this.endInBackground(event, call);
  }

  private backgroundCall({ id = '', scope }: IdempotencyEvent): string {
    const known = this.background.get(id);
    if (known !== undefined) return known;
    const call = this.begin({ kind: 'background', title: scope });
    this.background.set(id, call);
    return call;
  }

  private endInBackground({ type, id = '' }: IdempotencyEvent, call: string): void {
    // Refusals and replays are of a call that has not begun anything.
    if (!LAST.has(type) && type !== 'replayed' && type !== 'rejected') return;
    this.background.delete(id);
    this.end(call, { how: 'answered' });
  }
}
