import { Controller, Get } from '@nestjs/common';
import { EffectsService, type Effects } from './effects.service.js';

@Controller('effects')
export class EffectsController {
  constructor(private readonly effects: EffectsService) {}

  /** How often each handler that changes something has run since this process started. */
  @Get()
  list(): Effects {
    return this.effects.counts;
  }
}
