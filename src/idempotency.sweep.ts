import {
  Inject,
  Injectable,
  Logger,
  type OnApplicationBootstrap,
  type OnModuleInit,
} from '@nestjs/common';
import { encodeForScope, recovery } from './calls/recovery-call.js';
import { ValueOperations } from './calls/value-operations.js';
import type { CancelTimer } from './engine/clock.js';
import { isIdempotencyConfigurationError, wrongOption } from './engine/configuration-error.js';
import { messageOf } from './engine/driver-errors.js';
import { parseDuration } from './engine/duration.js';
import { IdempotencyEngine } from './engine/engine.js';
import type { OperationRequest } from './engine/operation.js';
import type { ListedRecord } from './engine/store.js';
import { failureOf } from './engine/story.js';
import { HandlerRegistry } from './handlers/handler-registry.js';
import type { ProtectedLayer } from './handlers/protected-handler.js';
import { recordId } from './keys/record-id.js';
import { NotKeptWarnings } from './operation/not-kept-warnings.js';
import type { RecoveredReply } from './operation/recovery.js';
import type { IdempotencyModuleOptions } from './options/idempotency.options.js';
import { MODULE_OPTIONS_TOKEN } from './options/module-definition.js';
import { SWEEP_DEFAULTS, type SweepOptions } from './options/store-options.js';
import { Sweep, type SweepLimits, type SweepResult } from './operators/sweep.js';
import { NOT_KEPT } from './replies/codec.js';
import { notKeepable } from './replies/not-keepable.js';

/** How much longer than between two sweeps a process keeps the lock. */
const LOCKS_FOR = 2;
/** Nodes that boot together do not look at the same moment. */
const SPREAD = 0.1;

/** Sweeps at intervals, and whenever the service is asked to. Does not keep the process alive. */
@Injectable()
export class AbandonedSweep implements OnModuleInit, OnApplicationBootstrap {
  private readonly sweep: Sweep;
  private readonly logger = new Logger('Idempotency');
  /** What failed and was logged. It is logged again if it fails after it has worked. */
  private readonly logged = new Set<string>();
  private lock: string | undefined;
  private cancelTimer: CancelTimer | undefined;
  private running: Promise<unknown> = Promise.resolve();
  private isStopped = false;

  constructor(
    private readonly engine: IdempotencyEngine,
    private readonly handlers: HandlerRegistry,
    private readonly operations: ValueOperations,
    private readonly warnings: NotKeptWarnings,
    @Inject(MODULE_OPTIONS_TOKEN) private readonly options: IdempotencyModuleOptions,
  ) {
    this.sweep = new Sweep({
      engine,
      lockId: () => (this.lock ??= this.lockId()),
      requestFor: (record) => this.requestFor(record),
      failed: (scope, error) =>
        this.warn(
          `operations of ${scope}`,
          `Abandoned operations of ${scope} could not be settled by a sweep (${withoutSecrets(error)}). They wait for a retry, and a later sweep asks again.`,
        ),
      settled: (scope) => this.logged.delete(`operations of ${scope}`),
      unreachable: (source, error) =>
        this.warn(
          placeName(source),
          `Abandoned operations in ${placeName(source)} could not be looked for (${messageOf(error)}). Later sweeps look again.`,
        ),
      reached: (source) => this.logged.delete(placeName(source)),
    });
  }

  /** @throws {@link IdempotencyConfigurationError} for a store in which nothing can be found */
  onModuleInit(): void {
    const { sweep = false } = this.options;
    if (sweep === false || this.engine.calls.store.list !== undefined) return;
    throw wrongOption(
      'sweep',
      sweep,
      'false with a store that lists nothing',
      'Add list() to your store; see docs/extending.md.',
    );
  }

  onApplicationBootstrap(): void {
    const { sweep = false } = this.options;
    if (sweep !== false) this.rest(sweep === true ? {} : sweep);
  }

  /** Sweeps once. {@link IdempotencyService.sweep} */
  async once(given: Omit<SweepOptions, 'every'> = {}): Promise<SweepResult> {
    return this.run(limitsOf(given), 0);
  }

  /** Ends after the present operation, and lets another process sweep. */
  async stop(): Promise<void> {
    this.isStopped = true;
    this.cancelTimer?.();
    await this.sweep.stop();
    await this.running;
  }

  private rest(given: SweepOptions): void {
    if (this.isStopped) return;
    const everyMs = parseDuration('sweep.every', given.every ?? SWEEP_DEFAULTS.every);
    const pauseMs = everyMs * (1 + SPREAD * (Math.random() - 1));
    this.cancelTimer = this.engine.clock.after(pauseMs, () => {
      this.running = this.run(limitsOf(given), everyMs * LOCKS_FOR)
        .then(() => this.logged.delete('sweep'))
        .catch((error: unknown) =>
          this.warn('sweep', `Abandoned operations could not be looked for (${messageOf(error)}).`),
        )
        .finally(() => this.rest(given));
    });
  }

  private async run(limits: SweepLimits, keepMs: number): Promise<SweepResult> {
    if (this.askable().size > 0) return this.sweep.run(limits, keepMs);
    return { isDone: true, replied: 0, released: 0, held: 0, failed: 0, isComplete: true };
  }

  private warn(subject: string, warning: string): void {
    if (this.logged.has(subject)) return;
    this.logged.add(subject);
    this.logger.warn(warning);
  }

  /** Processes with other handlers have another lock: nobody else could ask these. */
  private lockId(): string {
    const scopes = JSON.stringify([...this.askable().keys()].sort());
    return recordId('nestjs-idempotency:sweep', undefined, scopes);
  }

  /** What can be asked, or is to be held, by the scope that its records have. */
  private askable(): ReadonlyMap<string, ProtectedLayer> {
    const found = new Map<string, ProtectedLayer>();
    for (const { scopes, layers } of this.handlers.all())
      for (const layer of layers) {
        if (!layer.policy.keepsReply || layer.policy.onAbandoned !== 'hold') continue;
        const own = layer.scope ?? undefined;
        const names = own === undefined ? scopes.map((one) => one + layer.scopeSuffix) : [own];
        for (const name of names) if (!found.has(name)) found.set(name, layer);
      }
    return found;
  }

  /**
   * Not for a lease that has run out just now: its owner may only have been paused, and record the
   * reply yet. A question must not use up the attempt that is left for a retry.
   */
  private requestFor(record: ListedRecord): OperationRequest | undefined {
    const { id, fingerprint, attempt, leaseRemainingMs = 0, story = {} } = record;
    const { scope, label } = story;
    const layer = scope === undefined ? undefined : this.askable().get(scope);
    if (scope === undefined || layer === undefined) return undefined;
    const { policy, options, values } = layer;
    if (leaseRemainingMs > -policy.leaseMs) return undefined;
    const isAsked = typeof options.onAbandoned === 'function';
    if (isAsked && policy.maxAttempts?.times === attempt + 1) return undefined;
    const identity = { scope, label, isSweep: true };
    return {
      id,
      scope,
      label,
      fingerprint,
      policy,
      recover: recovery(options.onAbandoned, identity, id, values, (reply) =>
        this.encode(reply, scope),
      ),
      refuseUnknown: 'IDEMPOTENCY_KEY_INVALID',
    };
  }

  /** It says that the work was done, so a value that cannot be kept leaves a tombstone. */
  private encode(reply: RecoveredReply, scope: string): Uint8Array {
    try {
      return encodeForScope(reply, scope, this.handlers, this.operations.values);
    } catch (error) {
      this.warnings.ofReply(scope, notKeepable(error));
      return NOT_KEPT;
    }
  }
}

function placeName(source: string | undefined): string {
  return source === undefined ? "the store's own data source" : `data source ${source}`;
}

/** The application's own error may have anything in its text. */
function withoutSecrets(error: unknown): string {
  if (isIdempotencyConfigurationError(error)) return error.message;
  const { name, message } = failureOf(error) ?? { name: typeof error, message: '' };
  return message === '' ? name : `${name}: ${message}`;
}

/** @throws {@link IdempotencyConfigurationError} */
function limitsOf(given: Omit<SweepOptions, 'every'>): SweepLimits {
  const { batch, pause, time } = { ...SWEEP_DEFAULTS, ...given };
  return {
    batch,
    pauseMs: parseDuration('sweep.pause', pause, { zero: true }),
    timeMs: parseDuration('sweep.time', time),
  };
}
