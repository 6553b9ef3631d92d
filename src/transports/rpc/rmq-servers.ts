import { Injectable, Logger, type OnApplicationBootstrap } from '@nestjs/common';
import { ModulesContainer } from '@nestjs/core';
import { HandlerRegistry } from '../../handlers/handler-registry.js';
import { RMQ } from './messages.js';
import type { RmqChannel } from './transport-context.js';

/** The part of Nest's server of RabbitMQ that is read. */
interface RmqServer {
  readonly transportId: typeof RMQ;
  readonly noAck?: boolean;
  readonly options?: { readonly noAck?: boolean };
  /** The wrapper that opens a new channel after each loss of the connection. */
  readonly channel?: { readonly _channel?: unknown } | null;
}

/** Nest 11.0 does not have it yet. It is told of every microservice. */
interface Targets {
  getRpcTargetRegistry?(): { subscribe(next: (server: unknown) => void): unknown };
}

/** The microservices of the application that listen to RabbitMQ. */
@Injectable()
export class RmqServers implements OnApplicationBootstrap {
  private readonly servers: RmqServer[] = [];
  private readonly logger = new Logger('Idempotency');
  private readonly isTold: boolean;
  private isBooted = false;
  private hasWarned = false;

  constructor(
    private readonly handlers: HandlerRegistry,
    modules: ModulesContainer,
  ) {
    const targets: Targets = modules;
    this.isTold = targets.getRpcTargetRegistry !== undefined;
    targets.getRpcTargetRegistry?.().subscribe((server) => {
      if (!isRmqServer(server)) return;
      this.servers.push(server);
      // A hybrid application may be connected after it has started.
      if (this.isBooted) this.warn();
    });
  }

  onApplicationBootstrap(): void {
    this.isBooted = true;
    this.warn();
  }

  /** True for a channel whose messages wait to be acknowledged. */
  isManual(channel: RmqChannel): boolean {
    const [first, ...others] = this.servers;
    if (first === undefined) {
      if (!this.isTold) this.warnOfNest();
      return false;
    }
    const own = this.servers.find((server) => server.channel?._channel === channel);
    if (own !== undefined) return waits(own);
    return waits(first) && others.every(waits);
  }

  private warnOfNest(): void {
    if (this.hasWarned) return;
    this.hasWarned = true;
    this.logger.warn(
      'This version of Nest does not say whether RabbitMQ waits for acknowledgements. If it does (`noAck: false`), duplicates and refused messages of handlers without `acknowledge: true` stay unsettled. Set `acknowledge: true` and remove the settling from the handlers, or update Nest.',
    );
  }

  /** Handlers settle the messages that they run, and nobody settles those that they do not run. */
  private warn(): void {
    if (this.hasWarned || !this.servers.some(waits)) return;
    const names: string[] = [];
    for (const { name, message, acknowledges } of this.handlers.ofKind('rpc'))
      if (acknowledges === undefined && isOfRmq(message?.transport)) names.push(name);
    if (names.length === 0) return;
    this.hasWarned = true;
    this.logger.warn(
      `RabbitMQ waits for acknowledgements (\`noAck: false\`), but ${names.join(', ')} ${names.length === 1 ? 'has' : 'have'} no \`acknowledge: true\`. Such a handler must settle each message that it runs, and it does not run for a duplicate or a refused message: those are settled for it. Set \`acknowledge: true\` and remove the settling from the handler, or set \`acknowledge: false\` if it settles by itself on purpose.`,
    );
  }
}

function isOfRmq(transport: unknown): boolean {
  return transport === undefined || transport === RMQ;
}

function isRmqServer(server: unknown): server is RmqServer {
  return (
    typeof server === 'object' &&
    server !== null &&
    (server as Partial<RmqServer>).transportId === RMQ
  );
}

/** Nest acknowledges by itself (`noAck: true`) unless it was told not to. */
function waits({ noAck, options }: RmqServer): boolean {
  return (noAck ?? options?.noAck) === false;
}
