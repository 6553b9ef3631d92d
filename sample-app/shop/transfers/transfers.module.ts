import { Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { Transfer } from './transfer.entity.js';
import { TransfersController } from './transfers.controller.js';

@Module({ imports: [TypeOrmModule.forFeature([Transfer])], controllers: [TransfersController] })
export class TransfersModule {}
