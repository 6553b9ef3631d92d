import type { InstanceWrapper } from '@nestjs/core/injector/instance-wrapper.js';
import { wrongOption } from '../engine/configuration-error.js';
import type { IdempotentOptions } from '../options/idempotency.options.js';
import { OPTIONS_METADATA } from '../options/metadata.js';
import type { Declared } from './declared-methods.js';

/** A second provider of a class, and what is wrong with that. */
interface Second {
  readonly wrapper: InstanceWrapper;
  readonly cause: unknown;
}

/** Notices classes with several providers. Their objects may do different work, but with one scope they would share records. */
export class SoleProviders {
  private readonly firsts = new Map<NewableFunction, InstanceWrapper>();
  /** Of classes that were in use already: only their own objects are refused. */
  private readonly seconds: Second[] = [];

  /** @throws {@link IdempotencyConfigurationError} for a second provider of a class */
  check(type: NewableFunction, wrapper: InstanceWrapper, methods: () => readonly Declared[]): void {
    const first = this.firsts.get(type) ?? wrapper;
    this.firsts.set(type, first);
    if (wrapper.isAlias || first === wrapper || first.instance === wrapper.instance) return;
    for (const { name, method } of methods()) {
      const [outermost] = Reflect.getMetadata(OPTIONS_METADATA, method) as IdempotentOptions[];
      if (outermost?.scope !== undefined) continue;
      throw wrongOption(
        `scope of ${name}`,
        `two providers of ${type.name}`,
        'one provider of the class, or a `scope` if its providers are to share records',
        'Export the provider from one module and import that module, give each provider its own class (class Eu extends Charges), or give the method a `scope`.',
      );
    }
  }

  /** Checks a provider that was loaded after its class had been in use, for {@link refusalOf}. */
  checkLater(
    type: NewableFunction,
    wrapper: InstanceWrapper,
    methods: () => readonly Declared[],
  ): void {
    if (this.seconds.some((second) => second.wrapper === wrapper)) return;
    try {
      this.check(type, wrapper, methods);
    } catch (cause) {
      this.seconds.push({ wrapper, cause });
    }
  }

  /** Why the methods of an object are refused; `undefined` if they are not. */
  refusalOf(instance: unknown): unknown {
    if (this.seconds.length === 0) return undefined;
    return this.seconds.find(({ wrapper }) => wrapper.instance === instance)?.cause;
  }
}
