import { HttpStatus, Injectable, type CanActivate, type ExecutionContext } from '@nestjs/common';
import { ProblemException } from '../problems/problems.js';
import type { ShopRequest } from './shop-request.js';

/** Turns anonymous callers away. */
@Injectable()
export class SignedInGuard implements CanActivate {
  canActivate(context: ExecutionContext): boolean {
    if (context.switchToHttp().getRequest<ShopRequest>().user) return true;
    throw new ProblemException(HttpStatus.UNAUTHORIZED, 'Only who is signed in may do this.');
  }
}
