import { HttpStatus, Injectable, type CanActivate, type ExecutionContext } from '@nestjs/common';
import { ProblemException } from '../problems/problems.js';
import type { ShopRequest } from './shop-request.js';

/** Refuses anonymous callers. */
@Injectable()
export class SignedInGuard implements CanActivate {
  canActivate(context: ExecutionContext): boolean {
    if (context.switchToHttp().getRequest<ShopRequest>().user) return true;
    throw new ProblemException(HttpStatus.UNAUTHORIZED, 'You must sign in to do this.');
  }
}
