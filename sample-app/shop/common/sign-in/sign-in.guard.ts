import { Injectable, HttpStatus, type CanActivate, type ExecutionContext } from '@nestjs/common';
import { ProblemException } from '../problems/problems.js';
import type { ShopRequest } from './shop-request.js';

const BEARER = /^bearer +(?<name>\S.*)$/i;
/** What a browser sends after it has asked for a name, for the page of the operators alone. The password does not matter. */
const BASIC = /^basic +(?<credentials>\S+)$/i;

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
    const name = BEARER.exec(authorization)?.groups?.name ?? nameInBasic(request, authorization);
    if (name === undefined)
      throw new ProblemException(
        HttpStatus.UNAUTHORIZED,
        'Sign in with "Authorization: Bearer <name>".',
      );
    request.user = { id: name };
    return true;
  }
}

function nameInBasic({ url = '' }: ShopRequest, authorization: string): string | undefined {
  if (!url.startsWith('/idempotency/admin')) return undefined;
  const credentials = BASIC.exec(authorization)?.groups?.credentials;
  if (credentials === undefined) return undefined;
  const [name] = Buffer.from(credentials, 'base64').toString().split(':', 1);
  return name === '' ? undefined : name;
}
