import type { Refusing } from './store.js';

/**
 * - `acquiring`: the store is being asked.
 * - `answered`: the store's answer is there, and the record is not ours.
 * - `failed`: the store could not be asked.
 * - `running`: the record is ours and the handler runs.
 * - `replied`: the handler's reply is known here, whether or not the store has it yet.
 * - `gone`: the claim ended without a reply; the record has to be looked at again.
 */
type Phase =
  | { readonly name: 'acquiring' }
  | { readonly name: 'answered'; readonly result: Refusing }
  | { readonly name: 'failed'; readonly cause: unknown }
  | { readonly name: 'running' }
  | { readonly name: 'replied'; readonly reply: Uint8Array }
  | { readonly name: 'gone' };

const ACQUIRING: Phase = { name: 'acquiring' };
const RUNNING: Phase = { name: 'running' };
const GONE: Phase = { name: 'gone' };

/** True when a call with one fingerprint may be answered from a record with the other. */
export function fingerprintsMatch(a: string, b: string): boolean {
  return a === b || a === '' || b === '';
}

/**
 * The one call of this process that talks to the store about a record. Duplicates in the same
 * process share it: they neither ask the store nor poll, and are woken when its phase changes.
 */
export class LocalCall {
  phase: Phase = ACQUIRING;
  private waiters: Set<() => void> | undefined;

  constructor(readonly fingerprint: string) {}

  /** The record is ours. */
  run(): void {
    this.enter(RUNNING);
  }

  /** The record is not ours. */
  answer(result: Refusing): void {
    this.enter({ name: 'answered', result });
  }

  fail(cause: unknown): void {
    this.enter({ name: 'failed', cause });
  }

  reply(reply: Uint8Array): void {
    this.enter({ name: 'replied', reply });
  }

  /** Whoever can still find this call would wait in vain: it has to be closed before. */
  end(): void {
    this.enter(GONE);
  }

  /**
   * Calls `wake` once, at the next change of phase.
   *
   * @returns a function that stops the waiting
   */
  onChange(wake: () => void): () => void {
    (this.waiters ??= new Set()).add(wake);
    return () => void this.waiters?.delete(wake);
  }

  private enter(phase: Phase): void {
    this.phase = phase;
    const waiters = this.waiters;
    if (waiters === undefined) return;
    this.waiters = undefined;
    for (const wake of waiters) wake();
  }
}
