import {
  type CallHandler,
  type ExecutionContext,
  Injectable,
  type NestInterceptor,
} from '@nestjs/common';
import { finalize, Observable } from 'rxjs';
import { Timeline } from './timeline.js';

/** Puts every delivery of a message on the timeline. */
@Injectable()
export class ShowsDeliveries implements NestInterceptor {
  constructor(private readonly timeline: Timeline) {}

  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    const title = `${context.getClass().name}.${context.getHandler().name}`;
    return new Observable((subscriber) => {
      const call = this.timeline.begin({ kind: 'message', title });
      return this.timeline.within(call, () =>
        next
          .handle()
          .pipe(finalize(() => this.timeline.end(call, { how: 'answered' })))
          .subscribe(subscriber),
      );
    });
  }
}
