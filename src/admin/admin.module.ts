import {
  type CanActivate,
  Controller,
  type DynamicModule,
  Module,
  SetMetadata,
  UseGuards,
} from '@nestjs/common';
import { SkipIdempotency } from '../decorators/skip-idempotency.decorator.js';
import { wrongOption } from '../engine/configuration-error.js';
import { ADMIN_OPTIONS, AdminController, type AdminOptions } from './admin.controller.js';

const DEFAULT_PATH = 'idempotency/admin';
const OPTIONS: readonly string[] = ['guards', 'path', 'operator', 'imports', 'providers'];
/** What `@ApiExcludeController()` of `@nestjs/swagger` sets: a page for operators is no API. */
const EXCLUDED_FROM_DOCUMENT = SetMetadata('swagger/apiExcludeController', [true]);

/**
 * A page for operators, and the routes that it uses: what is held or abandoned, the story of each
 * operation, and a settlement with name and reason.
 *
 * @example
 * ```ts
 * imports: [IdempotencyAdminModule.register({ guards: [OperatorsGuard] })]
 * ```
 */
@Module({})
export class IdempotencyAdminModule {
  /** @throws {@link IdempotencyConfigurationError} without guards, and for a wrong option */
  static register(options: AdminOptions): DynamicModule {
    check(options);
    const { guards, path = DEFAULT_PATH, imports, providers = [] } = options;
    @SkipIdempotency()
    @EXCLUDED_FROM_DOCUMENT
    @UseGuards(...guards)
    @Controller(path)
    class ConfiguredAdminController extends AdminController {}
    return {
      module: IdempotencyAdminModule,
      ...(imports && { imports }),
      providers: [...providers, { provide: ADMIN_OPTIONS, useValue: options }],
      controllers: [ConfiguredAdminController],
    };
  }
}

function check(options: unknown): void {
  const given = (options ?? {}) as Partial<Record<string, unknown>>;
  const { guards, path, operator } = given;
  const unknown = Object.keys(given).find((option) => !OPTIONS.includes(option));
  if (unknown !== undefined)
    throw wrongOption(
      `${unknown} of IdempotencyAdminModule`,
      given[unknown],
      OPTIONS.join(', '),
      'Remove the option, or correct its name.',
    );
  if (!Array.isArray(guards) || guards.length === 0 || !guards.every(isGuard))
    throw wrongOption(
      'guards of IdempotencyAdminModule',
      guards,
      'a list of at least one guard',
      'Say who may settle operations. Without a guard, anybody could.',
    );
  if (path !== undefined && (typeof path !== 'string' || path === ''))
    throw wrongOption('path of IdempotencyAdminModule', path, 'a path');
  if (operator !== undefined && typeof operator !== 'function')
    throw wrongOption('operator of IdempotencyAdminModule', operator, 'a function of the request');
}

function isGuard(guard: unknown): boolean {
  const instance: unknown = typeof guard === 'function' ? (guard.prototype as unknown) : guard;
  if (typeof instance !== 'object' || instance === null) return false;
  return typeof (instance as Partial<CanActivate>).canActivate === 'function';
}
