import { Controller, Header, Inject, Post, Req, type Type, UseGuards } from '@nestjs/common';
import { wrongOption } from '../../engine/configuration-error.js';
import type { IncomingRequest } from '../../keys/call.js';
import {
  TOKEN_CONTROLLER_DEFAULTS,
  type TokenControllerOptions,
} from '../../options/token-options.js';
import { type IssuedToken, TokenService } from '../../tokens/token.service.js';

/** Issues tokens to clients: `POST`, with `{ "purpose": "…" }` if the handler has one. */
@Controller(TOKEN_CONTROLLER_DEFAULTS.path)
export class TokenController {
  constructor(@Inject(TokenService) private readonly tokens: TokenService) {}

  @Post()
  @Header('Cache-Control', 'no-store')
  issue(@Req() request: IncomingRequest): Promise<IssuedToken> {
    return this.tokens.issueTo(request, purposeOf(request.body));
  }
}

function purposeOf(body: unknown): unknown {
  if (typeof body !== 'object' || body === null || !Object.hasOwn(body, 'purpose'))
    return undefined;
  return (body as { readonly purpose?: unknown }).purpose;
}

/**
 * The controllers that the option `tokenController` asks for.
 *
 * @throws {@link IdempotencyConfigurationError} if the option is invalid
 */
export function tokenControllers(option: boolean | TokenControllerOptions | undefined): Type[] {
  if (option === undefined || option === false) return [];
  const { path = TOKEN_CONTROLLER_DEFAULTS.path, guards = [] } = checked(option);
  @Controller(path)
  @UseGuards(...guards)
  class ConfiguredTokenController extends TokenController {}
  return [ConfiguredTokenController];
}

function checked(option: unknown): TokenControllerOptions {
  if (option === true) return {};
  if (typeof option !== 'object' || option === null)
    throw wrongOption(
      'tokenController',
      option,
      'true, false, or { path, guards }',
      'Leave it out to have no route.',
    );
  const { path, guards, ...others } = option as TokenControllerOptions;
  const [other] = Object.entries(others);
  if (other !== undefined)
    throw wrongOption(
      `tokenController.${other[0]}`,
      other[1],
      'path, guards',
      'Remove the option, or correct its name. Options of the tokens belong to `tokens`.',
    );
  if (path !== undefined && (typeof path !== 'string' || path === ''))
    throw wrongOption(
      'tokenController.path',
      path,
      'a path',
      `Leave it out to use ${TOKEN_CONTROLLER_DEFAULTS.path}.`,
    );
  if (guards !== undefined && !(Array.isArray(guards) && guards.every(isGuard)))
    throw wrongOption(
      'tokenController.guards',
      guards,
      'a list of guards',
      'List classes or instances of guards.',
    );
  return { path, guards };
}

function isGuard(guard: unknown): boolean {
  const instance: unknown = typeof guard === 'function' ? (guard.prototype as unknown) : guard;
  if (typeof instance !== 'object' || instance === null) return false;
  return typeof (instance as { readonly canActivate?: unknown }).canActivate === 'function';
}
