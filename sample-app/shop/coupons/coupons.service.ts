import { HttpStatus, Injectable } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import { insertOrGet } from 'nestjs-idempotency/typeorm';
import { type FindOptionsWhere, LessThan, Repository } from 'typeorm';
import { ProblemException } from '../common/problems/problems.js';
import { Coupon } from './coupon.entity.js';

/** How many pieces a coupon has. */
const PIECES = 100;
/** What the ids of coupons with a single piece begin with. */
const LAST = 'last-';

function piecesOf(id: string): number {
  return id.startsWith(LAST) ? 1 : PIECES;
}

@Injectable()
export class CouponsService {
  constructor(@InjectRepository(Coupon) private readonly coupons: Repository<Coupon>) {}

  async left(id: string): Promise<{ id: string; left: number }> {
    const coupon = await this.coupons.findOneBy({ id });
    return { id, left: piecesOf(id) - (coupon?.claimed ?? 0) };
  }

  /** Reads, decides and writes, which is only correct for one call at a time. */
  async claim(id: string, token: number): Promise<{ id: string; no: number; left: number }> {
    const fencingToken = String(token);
    await insertOrGet(this.coupons.manager, Coupon, { id, claimed: 0, fencingToken: '0' });
    // From now on, an earlier holder of the lock that was paused can no longer write.
    await this.write({ id, fencingToken: LessThan(fencingToken) }, { fencingToken });
    const { claimed } = await this.coupons.findOneByOrFail({ id });
    const pieces = piecesOf(id);
    if (claimed === pieces)
      throw new ProblemException(HttpStatus.CONFLICT, 'All pieces are taken.');
    const no = claimed + 1;
    await this.write({ id, fencingToken }, { claimed: no });
    return { id, no, left: pieces - no };
  }

  private async write(where: FindOptionsWhere<Coupon>, values: Partial<Coupon>): Promise<void> {
    const { affected } = await this.coupons.update(where, values);
    if (affected === 0)
      throw new ProblemException(
        HttpStatus.CONFLICT,
        'Somebody else has the lock on this coupon by now.',
      );
  }
}
