import type { ExecutionContext, NestInterceptor } from '@nestjs/common';
import type { RmqContext } from '@nestjs/microservices';
import type { Channel } from 'amqplib';

/** Reports channels that the broker closes, as it does when a message is settled twice. */
export class ChannelWatch implements NestInterceptor {
  private readonly watched = new WeakSet<Channel>();

  constructor(private readonly report: (error: Error) => void) {}

  intercept(context: ExecutionContext, next: { handle(): never }): never {
    const channel = context.switchToRpc().getContext<RmqContext>().getChannelRef() as Channel;
    if (!this.watched.has(channel)) {
      this.watched.add(channel);
      channel.on('error', this.report);
    }
    return next.handle();
  }
}
