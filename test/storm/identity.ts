import type { CanActivate, ExecutionContext } from '@nestjs/common';
import type { IdempotencyModuleOptions } from 'nestjs-idempotency';
import type { Callers } from './plan.js';

type HeaderFields = Readonly<Record<string, string | undefined>>;

/** What a caller sends to say who it is. */
export function credentialsOf(callers: Callers, caller: string): Record<string, string> {
  switch (callers) {
    case 'header':
    case 'user':
      return { 'x-user': caller };
    case 'credentials':
      // One gateway for all of them, and a session for each.
      return { authorization: 'Bearer gateway', cookie: `session=${caller}`, 'x-user': caller };
  }
}

/** How the library is told who calls. */
export function principalOf(callers: Callers): Pick<IdempotencyModuleOptions, 'principal'> {
  if (callers !== 'header') return {};
  return { principal: ({ request }) => headersOf(request)['x-user'] };
}

/** Signs in whoever the request names. */
export class UserGuard implements CanActivate {
  canActivate(context: ExecutionContext): boolean {
    const request = requestOf(context);
    if (request !== undefined) request.user = { id: headersOf(request)['x-user'] };
    return true;
  }
}

function requestOf(context: ExecutionContext): { user?: object } | undefined {
  switch (context.getType<'http' | 'rpc' | 'graphql'>()) {
    case 'http':
      return context.switchToHttp().getRequest();
    case 'graphql':
      return context.getArgByIndex<{ req: { user?: object } }>(2).req;
    case 'rpc':
      return undefined;
  }
}

/** As handlers see it. */
export function whoAsks(headers: HeaderFields): { caller: string; key: string } {
  return { caller: headers['x-user'] ?? '', key: headers['idempotency-key'] ?? '' };
}

export function headersOf(request: unknown): HeaderFields {
  return (request as { headers?: HeaderFields } | undefined)?.headers ?? {};
}
