import { Controller, HttpStatus, Param, Post, UseGuards } from '@nestjs/common';
import { ApiBearerAuth, ApiCreatedResponse } from '@nestjs/swagger';
import { InjectRepository } from '@nestjs/typeorm';
import { Idempotent, param, principal } from 'nestjs-idempotency';
import { Repository } from 'typeorm';
import { ApiProblems } from '../common/problems/api-problems.decorator.js';
import { CurrentUser } from '../common/sign-in/current-user.decorator.js';
import type { User } from '../common/sign-in/shop-request.js';
import { SignedInGuard } from '../common/sign-in/signed-in.guard.js';
import { Vote } from './vote.entity.js';

// On the class, because its guards run before those of the methods, so anonymous callers get 401
// first.
@UseGuards(SignedInGuard)
@Controller('votes')
@ApiBearerAuth()
export class VotesController {
  constructor(@InjectRepository(Vote) private readonly votes: Repository<Vote>) {}

  /**
   * One vote per person and target. Nobody sends a key: it is made from the signed-in user and the
   * target. A second vote is a mistake to report, so it is not replayed.
   */
  @Post(':target')
  @Idempotent({ key: [principal(), param('target')], onDuplicate: 'reject', ttl: '365d' })
  @ApiCreatedResponse({ type: Vote })
  @ApiProblems(HttpStatus.UNAUTHORIZED)
  async vote(@Param('target') target: string, @CurrentUser() { id: voter }: User) {
    const vote = this.votes.create({ voter, target });
    await this.votes.insert(vote);
    return vote;
  }
}
