import { Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { Vote } from './vote.entity.js';
import { VotesController } from './votes.controller.js';

@Module({ imports: [TypeOrmModule.forFeature([Vote])], controllers: [VotesController] })
export class VotesModule {}
