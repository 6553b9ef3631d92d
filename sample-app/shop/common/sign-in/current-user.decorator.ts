import { createParamDecorator, type ExecutionContext } from '@nestjs/common';
import type { ShopRequest, User } from './shop-request.js';

/** Who signed in; `undefined` for an anonymous caller. */
export const CurrentUser = createParamDecorator(
  (_: unknown, context: ExecutionContext): User | undefined =>
    context.switchToHttp().getRequest<ShopRequest>().user,
);
