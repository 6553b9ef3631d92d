import { HttpStatus, Injectable } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import { insertOrGet } from 'nestjs-idempotency/typeorm';
import { LessThan, Repository } from 'typeorm';
import { ProblemException } from '../problems/problems.js';
import { Coupon } from './coupon.entity.js';

/** How many there are of each. */
const PIECES = 100;

@Injectable()
export class CouponsService {
  constructor(@InjectRepository(Coupon) private readonly coupons: Repository<Coupon>) {}

  async left(id: string): Promise<{ id: string; left: number }> {
    const coupon = await this.coupons.findOneBy({ id });
    return { id, left: PIECES - (coupon?.claimed ?? 0) };
  }

  /** Looks, decides and writes: right only for one at a time. */
  async claim(id: string, fencingToken: number): Promise<{ id: string; no: number; left: number }> {
    const no = (await this.claimed(id)) + 1;
    if (no > PIECES) throw new ProblemException(HttpStatus.CONFLICT, 'All of them are taken.');
    // Whoever was paused, lost the lock and woke up again has a token that is too low by now.
    const { affected } = await this.coupons.update(
      { id, fencingToken: LessThan(String(fencingToken)) },
      { claimed: no, fencingToken: String(fencingToken) },
    );
    if (affected === 0)
      throw new ProblemException(HttpStatus.CONFLICT, 'Somebody else has the coupon by now.');
    return { id, no, left: PIECES - no };
  }

  private async claimed(id: string): Promise<number> {
    const unclaimed = { id, claimed: 0, fencingToken: '0' };
    const { entity } = await insertOrGet(this.coupons.manager, Coupon, unclaimed);
    return entity.claimed;
  }
}
