import { type CanActivate, type ExecutionContext, HttpStatus, Injectable } from '@nestjs/common';
import { ProblemException } from '../common/problems/problems.js';
import type { ShopRequest } from '../common/sign-in/shop-request.js';

/** Express and Fastify. */
interface ShopResponse {
  header(name: string, value: string): unknown;
}

/** Lets in who has signed in as `ops`; browsers ask for the name. A real application checks a role. */
@Injectable()
export class OperatorsGuard implements CanActivate {
  canActivate(context: ExecutionContext): boolean {
    const http = context.switchToHttp();
    const { user } = http.getRequest<ShopRequest>();
    if (user?.id === 'ops') return true;
    if (user !== undefined)
      throw new ProblemException(HttpStatus.FORBIDDEN, 'Only "ops" may settle operations.');
    http
      .getResponse<ShopResponse>()
      .header('WWW-Authenticate', 'Basic realm="operators", charset="UTF-8"');
    throw new ProblemException(HttpStatus.UNAUTHORIZED, 'Sign in as "ops".');
  }
}
