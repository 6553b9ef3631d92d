import { Module } from '@nestjs/common';
import { FlakyController } from './flaky.controller.js';

@Module({ controllers: [FlakyController] })
export class FlakyModule {}
