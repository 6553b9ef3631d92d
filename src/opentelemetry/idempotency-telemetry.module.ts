import { metrics, trace } from '@opentelemetry/api';
import { Module, type OnModuleInit } from '@nestjs/common';
import { ModuleRef } from '@nestjs/core';
import { IdempotencyService } from '../idempotency.service.js';
import { Instruments } from './instruments.js';
import { annotate } from './span.js';

/** The name of the meter, which is the instrumentation scope. */
const NAME = 'nestjs-idempotency';

/**
 * Reports operations and calls of the store to OpenTelemetry: metrics through the global meter
 * provider, and attributes on the current span of a call. Import it beside `IdempotencyModule`, and
 * start the SDK before the application is created.
 */
@Module({})
export class IdempotencyTelemetryModule implements OnModuleInit {
  constructor(private readonly moduleRef: ModuleRef) {}

  onModuleInit(): void {
    // Looked up everywhere, because the module may be registered with `isGlobal: false`.
    const { events$, storeCalls$ } = this.moduleRef.get(IdempotencyService, { strict: false });
    const instruments = new Instruments(metrics.getMeter(NAME));
    events$.subscribe((event) => {
      instruments.count(event);
      // Events are emitted in the context of the call that they are about.
      const span = trace.getActiveSpan();
      if (span?.isRecording()) annotate(span, event);
    });
    storeCalls$.subscribe((call) => instruments.measure(call));
  }
}
