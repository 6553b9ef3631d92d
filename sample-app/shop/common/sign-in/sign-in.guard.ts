import { Injectable, HttpStatus, type CanActivate, type ExecutionContext } from '@nestjs/common';
import { ProblemException } from '../problems/problems.js';
import type { ShopRequest } from './shop-request.js';

const BEARER = /^bearer +(?<name>\S.*)$/i;

/**
 * `Authorization: Bearer alice` signs in as alice; any name works. Without the header, the caller
 * is anonymous. A real application checks a token here. For idempotency it only matters that
 * `request.user` is set before the handler's own guards run.
 */
@Injectable()
export class SignInGuard implements CanActivate {
  canActivate(context: ExecutionContext): boolean {
    const request = context.switchToHttp().getRequest<ShopRequest>();
    const { authorization } = request.headers;
    if (authorization === undefined) return true;
    const name = BEARER.exec(authorization)?.groups?.name;
    if (name === undefined)
      throw new ProblemException(
        HttpStatus.UNAUTHORIZED,
        'Sign in with "Authorization: Bearer <name>".',
      );
    request.user = { id: name };
    return true;
  }
}
