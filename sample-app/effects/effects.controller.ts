import { Controller, Get } from '@nestjs/common';
import { ApiOkResponse } from '@nestjs/swagger';
import { EffectsService, type Effects } from './effects.service.js';

/** A number for each name. */
const COUNTS = { type: 'object', additionalProperties: { type: 'integer' } };

@Controller('effects')
export class EffectsController {
  constructor(private readonly effects: EffectsService) {}

  /** How often each handler that changes something has run since this process started. */
  @Get()
  @ApiOkResponse({ schema: COUNTS })
  list(): Effects {
    return this.effects.counts;
  }
}
