import { Body, Controller, HttpStatus, Post } from '@nestjs/common';
import { ApiCreatedResponse } from '@nestjs/swagger';
import { InjectRepository } from '@nestjs/typeorm';
import { Idempotent, signature } from 'nestjs-idempotency';
import { Repository } from 'typeorm';
import { ApiProblems } from '../common/problems/api-problems.decorator.js';
import { CurrentUser } from '../common/sign-in/current-user.decorator.js';
import type { User } from '../common/sign-in/shop-request.js';
import { Comment } from './comment.entity.js';
import { CommentDto } from './comments.dto.js';

@Controller('comments')
export class CommentsController {
  constructor(@InjectRepository(Comment) private readonly comments: Repository<Comment>) {}

  /** No key is sent. Within ten seconds, the same words by the same author are one comment. */
  @Post()
  @Idempotent({ key: signature(), ttl: '10s' })
  @ApiCreatedResponse({ type: Comment })
  @ApiProblems(HttpStatus.BAD_REQUEST)
  async comment(@Body() { text, topic }: CommentDto, @CurrentUser() user?: User) {
    const comment = this.comments.create({ author: user?.id ?? null, topic: topic ?? null, text });
    await this.comments.insert(comment);
    return comment;
  }
}
