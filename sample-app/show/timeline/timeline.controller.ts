import { Controller, Headers, type MessageEvent, Sse } from '@nestjs/common';
import { ApiExcludeController } from '@nestjs/swagger';
import type { Observable } from 'rxjs';
import { Timeline } from './timeline.js';

@ApiExcludeController()
@Controller('timeline')
export class TimelineController {
  constructor(private readonly timeline: Timeline) {}

  /** What happens in the shop, for as long as somebody listens. Holds no keys and no bodies. */
  @Sse()
  listen(@Headers('last-event-id') lastEventId?: string): Observable<MessageEvent> {
    return this.timeline.listen(lastEventId);
  }
}
