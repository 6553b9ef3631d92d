import { Controller, Get } from '@nestjs/common';
import { ApiOkResponse } from '@nestjs/swagger';
import { counts } from './count-effects.js';
import type { Effects } from './effects.js';

/** A number for each name. */
const COUNTS = { type: 'object', additionalProperties: { type: 'integer' } };

@Controller('effects')
export class EffectsController {
  /** How often each handler that changes something has run since this process started. */
  @Get()
  @ApiOkResponse({ schema: COUNTS })
  list(): Effects {
    return counts;
  }
}
