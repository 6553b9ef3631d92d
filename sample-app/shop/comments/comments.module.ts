import { Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { Comment } from './comment.entity.js';
import { CommentsController } from './comments.controller.js';

@Module({ imports: [TypeOrmModule.forFeature([Comment])], controllers: [CommentsController] })
export class CommentsModule {}
