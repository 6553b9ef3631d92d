import assert from 'node:assert/strict';
import type { Claim, Settlement } from '../../src/engine/claim.js';
import type { Beginning } from '../../src/engine/operation.js';
import { MemoryStore } from '../../src/stores/memory/index.js';
import {
  type Fault,
  FaultInjectingStore,
  ManualClock,
  type StoreVerb,
} from '../../src/testing/index.js';
import { bytes, operation, Process, textOf } from '../support/engine.js';
import { Ledger, LedgerStore } from './ledger.js';

export const LEASE_MS = 9_000;
export const TTL_MS = 30_000;
export const WAIT_MS = 4_000;
/** Time passes in slices of this: so far are the clocks of the processes apart at most. */
const SLICE_MS = 1_500;

export const KEYS = ['one', 'two'] as const;
export type Key = (typeof KEYS)[number];

export interface Call {
  readonly process: number;
  readonly key: Key;
  readonly fingerprint: string;
  readonly waits: boolean;
  readonly onAbandoned: 'rerun' | 'hold';
  readonly recover?: 'rerun' | 'hold' | 'reply' | 'fails';
}

/** A handler that runs. */
interface Running {
  readonly key: Key;
  readonly claim: Claim;
  readonly host: Host;
}

/** A process and what surrounds it. */
class Host {
  readonly clock = new ManualClock();
  readonly store: FaultInjectingStore;
  readonly process: Process;
  readonly connection: LedgerStore;
  /** How far its clock is behind; `undefined` while it is not paused. */
  pausedMs: number | undefined;
  /** Replies that left before they were on record. */
  readonly deferred = new Set<string>();

  constructor(memory: MemoryStore, ledger: Ledger) {
    this.connection = new LedgerStore(memory, ledger);
    this.store = new FaultInjectingStore(this.connection);
    this.process = new Process(this.store, this.clock);
  }
}

/** Processes over one store, and what must be true of them at any moment. */
export class Model {
  private readonly storeClock = new ManualClock();
  private readonly memory = new MemoryStore({ clock: this.storeClock });
  private readonly ledger = new Ledger(this.memory, this.storeClock);
  private readonly hosts: Host[];
  private running: Running[] = [];
  private readonly undecided = new Map<symbol, Host>();
  private replies = 0;

  constructor(processes: number) {
    this.hosts = Array.from({ length: processes }, () => this.newHost());
  }

  /** How many handlers run at present for the same key. */
  handlersOf(key: Key): number {
    return this.running.filter((running) => running.key === key).length;
  }

  async call(call: Call): Promise<void> {
    const host = this.host(call.process);
    const asking = Symbol('call');
    this.undecided.set(asking, host);
    const { key, fingerprint, onAbandoned, recover } = call;
    const request = operation({
      id: key,
      fingerprint,
      leaseMs: LEASE_MS,
      ttlMs: TTL_MS,
      waitMs: call.waits ? WAIT_MS : 0,
      onAbandoned,
      recover: recover && (async () => this.recover(host, recover)),
    });
    // Decided later: meanwhile other things happen.
    void (async () => host.process.engine.begin(request))().then(
      (beginning) => this.ledger.watch(() => this.decided(asking, host, key, beginning)),
      () => this.undecided.delete(asking),
    );
    await this.pass(0);
  }

  async finish(pick: number, how: 'complete' | 'release' | 'hold'): Promise<void> {
    const running = this.running[pick % Math.max(1, this.running.length)];
    if (running === undefined) return;
    this.running = this.running.filter((other) => other !== running);
    const { host, key, claim } = running;
    const reply = this.newReply();
    const settlement =
      how === 'complete'
        ? claim.complete(bytes(reply))
        : how === 'hold'
          ? claim.hold('why')
          : claim.release();
    void Promise.resolve(settlement).then((settled) => {
      if (how !== 'complete' || !settled) return;
      this.ledger.watch(() => this.settled(host, key, reply, settled));
    });
    await this.pass(0);
  }

  async saveStep(pick: number): Promise<void> {
    const { claim } = this.running[pick % Math.max(1, this.running.length)] ?? {};
    void claim?.saveStep('step', bytes('step'));
    await this.pass(0);
  }

  fault(process: number, verb: StoreVerb, fault: Fault): void {
    this.host(process).store.next(verb, fault);
  }

  /** The process stands still. */
  pause(process: number): void {
    this.host(process).pausedMs ??= 0;
  }

  async wake(process: number): Promise<void> {
    const host = this.host(process);
    const { pausedMs = 0 } = host;
    host.pausedMs = undefined;
    await host.clock.advance(pausedMs);
    this.check();
  }

  /** The process is gone with all that it did; another one starts in its place. */
  crash(process: number): void {
    const host = this.host(process);
    host.connection.cut();
    this.running = this.running.filter((running) => running.host !== host);
    for (const [asking, asked] of this.undecided) if (asked === host) this.undecided.delete(asking);
    this.hosts[process % this.hosts.length] = this.newHost();
  }

  /** One clock runs ahead of the others: that of a process, or the store's. */
  async jump(process: number | 'store', ms: number): Promise<void> {
    await (process === 'store' ? this.storeClock : this.host(process).clock).advance(ms);
    this.check();
  }

  /** Time passes for everyone who is not paused. */
  async pass(ms: number): Promise<void> {
    let remainingMs = ms;
    do {
      const sliceMs = Math.min(remainingMs, SLICE_MS);
      await this.storeClock.advance(sliceMs);
      for (const host of this.hosts) {
        if (host.pausedMs === undefined) await host.clock.advance(sliceMs);
        else host.pausedMs += sliceMs;
      }
      this.check();
      remainingMs -= sliceMs;
    } while (remainingMs > 0);
  }

  /** Everything gets its turn again: nobody may be stuck, and nothing may be left. */
  async end(): Promise<void> {
    for (const [index, host] of this.hosts.entries()) {
      host.store.heal();
      await this.wake(index);
    }
    for (let round = 0; this.running.length + this.undecided.size > 0; round += 1) {
      assert.ok(round < 50, 'somebody is stuck');
      await this.finish(0, 'complete');
      await this.pass(WAIT_MS);
    }
    await this.pass(2 * LEASE_MS);
    for (const { process, clock } of this.hosts) {
      assert.ok(process.engine.isIdle, 'a call is left');
      assert.equal(clock.pendingTimers, 0, 'timers are left');
    }
    for (const key of KEYS) await this.expectNotStuck(key);
  }

  private async expectNotStuck(key: Key): Promise<void> {
    const fingerprint = this.memory.find(key)?.fingerprint ?? '';
    await this.call({ process: 0, key, fingerprint, waits: false, onAbandoned: 'rerun' });
    if (this.memory.find(key)?.state === 'held') return;
    await this.finish(0, 'complete');
    assert.equal(this.running.length, 0);
    assert.equal(this.undecided.size, 0);
    assert.equal(this.memory.find(key)?.state, 'completed');
  }

  private check(): void {
    for (const key of KEYS) this.ledger.check(key);
    this.ledger.report();
  }

  private decided(asking: symbol, host: Host, key: Key, beginning: Beginning): void {
    // Of a process that is gone nobody hears.
    if (!this.undecided.delete(asking)) return;
    if (beginning.outcome === 'replay') {
      this.expectReply(host, key, textOf(beginning.reply));
    } else if (beginning.outcome === 'execute') {
      const { claim } = beginning;
      const { state, attempt, fencingToken } = this.memory.find(key) ?? {};
      assert.equal(state, 'in-flight');
      assert.deepEqual([attempt, fencingToken], [claim.attempt, claim.fencingToken]);
      this.running.push({ key, claim, host });
    }
  }

  private settled(host: Host, key: Key, reply: string, settlement: Settlement): void {
    switch (settlement.outcome) {
      case 'stored':
        return assert.equal(this.ledger.replyOf(key), reply);
      case 'superseded':
        return this.expectReply(host, key, textOf(settlement.reply));
      case 'deferred':
        return void host.deferred.add(reply);
      // Its lease had run out when the store failed: its caller is told nothing.
      case 'unrecorded':
      case 'lost':
        return;
      case 'undone':
      case 'failed':
        return assert.fail(`nothing here ends as ${settlement.outcome}`);
    }
  }

  /** What a caller gets is what is on record, or what this process could not record yet. */
  private expectReply(host: Host, key: Key, reply: string): void {
    if (!host.deferred.has(reply)) assert.equal(reply, this.ledger.replyOf(key));
  }

  private recover(host: Host, how: NonNullable<Call['recover']>): 'rerun' | 'hold' | Uint8Array {
    if (how === 'fails') throw new Error('nobody knows');
    if (how !== 'reply') return how;
    const reply = this.newReply();
    // Nobody tells whether it could be recorded before it left.
    host.deferred.add(reply);
    return bytes(reply);
  }

  private newReply(): string {
    this.replies += 1;
    return `reply ${this.replies}`;
  }

  private newHost(): Host {
    return new Host(this.memory, this.ledger);
  }

  private host(index: number): Host {
    return this.hosts[index % this.hosts.length] as Host;
  }
}
