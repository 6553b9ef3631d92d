import { Module } from '@nestjs/common';
import { SlowController } from './slow.controller.js';

@Module({ controllers: [SlowController] })
export class SlowModule {}
