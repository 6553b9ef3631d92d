import { Global, Module } from '@nestjs/common';
import { EffectsController } from './effects.controller.js';
import { EffectsService } from './effects.service.js';

@Global()
@Module({
  controllers: [EffectsController],
  providers: [EffectsService],
  exports: [EffectsService],
})
export class EffectsModule {}
