import { Logger, type Type } from '@nestjs/common';
import type { ApplicationConfig, ModuleRef, ModulesContainer } from '@nestjs/core';
import { wrongOption } from '../engine/configuration-error.js';
import type { CallKind, CallKinds, IncomingRequest } from '../keys/call.js';
import type { Schedule } from '../keys/key-source.js';
import type { IdempotentOptions } from '../options/idempotency.options.js';
import { OPTIONS_METADATA } from '../options/metadata.js';

/** Tells which of a handler's scopes a request belongs to. */
export type ScopeOfRequest = (request: IncomingRequest) => string;

/** One way in which calls reach a method. */
export interface Endpoint {
  readonly kind: CallKind;
  /**
   * The namespaces of its keys, the first of which represents all. There is one, unless it has
   * several routes.
   */
  readonly scopes: readonly string[];
  /** The paths of its routes, in the forms that HTTP frameworks use. */
  readonly paths?: readonly string[];
  /** Which of the scopes a request belongs to; absent if there is only one. */
  readonly scopeOf?: ScopeOfRequest;
  /** Callers get the handler's values, which an outer serializer would change. */
  readonly answersValues?: boolean;
  /** What is known about it as a handler of messages. */
  readonly message?: MessageEndpoint;
  /** The timer that calls it. */
  readonly schedule?: Schedule;
  /** A queue calls it with its jobs. */
  readonly isProcessor?: boolean;
  /** It gets events of this process, and nobody waits for an answer. */
  readonly listens?: boolean;
}

/** How a method handles messages. */
export interface MessageEndpoint {
  /** What it subscribes to, as text. */
  readonly patterns: readonly string[];
  /**
   * It has several patterns, or one with wildcards. Then the one that a message was sent to is a part of
   * the content, as the parameters of a route are.
   */
  readonly isOfMany: boolean;
  /** Nobody waits for a reply. */
  readonly isEvent: boolean;
  /** Nest's number of its only transport, or `golevelup`; `undefined` if it handles all of Nest's. */
  readonly transport: unknown;
  /** Its library settles messages by what the handler returns or throws. */
  readonly isSettledByLibrary: boolean;
}

export type Method = (...args: never[]) => unknown;

/** A method of a class, for which endpoints are looked up. */
export interface HostedMethod {
  readonly type: NewableFunction;
  /** The modules that mount the class. */
  readonly modules: readonly (NewableFunction | undefined)[];
  /** `ClassName.methodName`. */
  readonly name: string;
  readonly methodName: string | symbol;
  readonly method: Method;
}

/** What is known about the application while it boots. */
export interface Boot {
  readonly config: ApplicationConfig;
  /** Nest's id of the application, which it puts into some metadata keys. */
  readonly applicationId: string;
  warn(warning: string): void;
  /** A provider of this module. Not available before the application is created. */
  get<T>(type: Type<T>): T;
}

/** Finds the endpoints of one transport. It only knows classes and their metadata. */
export interface EndpointReader {
  readonly kind: CallKind;
  /** The word for its handlers in lists. */
  readonly word: CallKinds[CallKind];
  /**
   * The kind of classes that it reads. If several readers read providers, the first that finds an
   * endpoint wins.
   */
  readonly hosts: 'controllers' | 'providers';
  /**
   * The endpoint of a method: `undefined` if it has none, `safe` if it needs no protection.
   *
   * @throws {@link IdempotencyConfigurationError} for one that cannot be protected
   */
  read(hosted: HostedMethod, boot: Boot): Endpoint | 'safe' | undefined;
  /**
   * What a method without protection handles, such as `POST /payments`; nothing if it handles no
   * such calls.
   */
  answers?(hosted: HostedMethod, boot: Boot): readonly string[];
  /** True for a method that a decorator on its class covers. */
  changesState?(method: object): boolean;
  /** True for a provider class that may have the decorator itself. */
  isHost?(type: NewableFunction): boolean;
}

/** The readers of all transports. */
export const ENDPOINT_READERS = Symbol.for('nestjs-idempotency:endpoint-readers');

/** Finds out how calls reach the protected methods of an application. */
export class Endpoints implements Boot {
  private readonly logger = new Logger('Idempotency');
  private readonly ofProviders: readonly EndpointReader[];

  constructor(
    private readonly readers: readonly EndpointReader[],
    readonly config: ApplicationConfig,
    private readonly modules: ModulesContainer,
    private readonly moduleRef: ModuleRef,
  ) {
    this.ofProviders = readers.filter(({ hosts }) => hosts === 'providers');
  }

  get applicationId(): string {
    return String((this.modules as { applicationId?: string }).applicationId ?? '');
  }

  warn(warning: string): void {
    this.logger.warn(warning);
  }

  get<T>(type: Type<T>): T {
    return this.moduleRef.get(type, { strict: false });
  }

  /**
   * The endpoints of a controller's method. None if it needs no protection.
   *
   * @throws {@link IdempotencyConfigurationError}
   */
  ofController(hosted: HostedMethod): Endpoint[] {
    const found = this.readers
      .filter(({ hosts }) => hosts === 'controllers')
      .flatMap((reader) => reader.read(hosted, this) ?? []);
    if (found.length === 0) throw notAHandler(hosted.name);
    return found.filter((one) => one !== 'safe');
  }

  /**
   * The endpoints of a provider's method. None if it needs no protection.
   *
   * @throws {@link IdempotencyConfigurationError}
   */
  ofProvider(hosted: HostedMethod): Endpoint[] {
    for (const reader of this.ofProviders) {
      const found = reader.read(hosted, this);
      if (found !== undefined) return found === 'safe' ? [] : [found];
    }
    throw notAHandler(hosted.name);
  }

  /** True for a provider class that frameworks call themselves. */
  isHost(type: NewableFunction): boolean {
    return this.ofProviders.some((reader) => reader.isHost?.(type) === true);
  }

  /** True for a method that a decorator on its class covers. */
  readonly changesState = (method: object): boolean =>
    this.readers.some((reader) => reader.changesState?.(method) === true);

  /**
   * @throws {@link IdempotencyConfigurationError} for a class whose methods must have the
   *   decorator instead
   */
  checkProvider(type: NewableFunction): void {
    if (!Reflect.hasMetadata(OPTIONS_METADATA, type) || this.isHost(type)) return;
    throw wrongOption(
      '@Idempotent()',
      type.name,
      'a controller, a resolver, or single methods of a provider',
      'Put the decorator on the methods that must not run twice.',
    );
  }
}

/**
 * @throws {@link IdempotencyConfigurationError} for `acknowledge` on a handler that has nothing
 *   to acknowledge
 */
export function checkAcknowledge(
  name: string,
  layers: readonly IdempotentOptions[],
  endpoints: readonly Endpoint[],
): void {
  const given = layers.find(({ acknowledge }) => acknowledge !== undefined)?.acknowledge;
  if (given === undefined) return;
  const handled = endpoints.flatMap(({ message }) => message ?? []);
  if (handled.some(({ isSettledByLibrary }) => !isSettledByLibrary)) return;
  const reason =
    handled.length === 0
      ? 'Only handlers of messages take this option.'
      : '@golevelup/nestjs-rabbitmq always acknowledges messages itself.';
  throw wrongOption(`acknowledge of ${name}`, given, 'nothing', `${reason} Remove it.`);
}

function notAHandler(name: string): Error {
  return wrongOption(
    '@Idempotent()',
    name,
    'handlers of routes or messages, in a controller',
    'Put the decorator on the handler, or protect other code with IdempotencyService.run().',
  );
}
