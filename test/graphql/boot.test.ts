import { ClassSerializerInterceptor, Injectable, UseInterceptors } from '@nestjs/common';
import { APP_INTERCEPTOR, Reflector } from '@nestjs/core';
import {
  Field,
  Mutation,
  ObjectType,
  ResolveField,
  Resolver,
  ResolveReference,
} from '@nestjs/graphql';
import { Exclude } from 'class-transformer';
import { Idempotent, isIdempotencyConfigurationError } from 'nestjs-idempotency';
import { IdempotencyInterceptor } from 'nestjs-idempotency/contracts';
import { bootErrorOf, bootGraphql } from './support/graphql-app.js';

let runs = 0;
beforeEach(() => {
  runs = 0;
});

@ObjectType()
class Person {
  @Field()
  name: string = 'Ada';

  @Exclude()
  @Field(() => String, { nullable: true })
  secret: string | undefined = 's3cret';
}

describe('resolvers with @Idempotent()', () => {
  it.each(['ResolveField', 'ResolveReference'])(
    'may not resolve fields of objects: @%s()',
    (kind) => {
      @Resolver(() => Person)
      class People {
        @Idempotent()
        @(kind === 'ResolveField' ? ResolveField(() => String) : ResolveReference())
        name(): string {
          return '';
        }
      }
      return expectRefused(bootErrorOf(People), {
        given: 'People.name, which resolves a field of an object',
      });
    },
  );

  it('may be a class, as no other provider may', () => {
    @Injectable()
    @Idempotent()
    class Service {}
    return expectRefused(bootErrorOf(Service), { given: 'Service' });
  });

  it('may not have a serializer around what is recorded', () => {
    @Resolver()
    class People {
      @Idempotent()
      @Mutation(() => Person)
      hire(): Person {
        return new Person();
      }
    }
    const error = bootErrorOf(People, {
      configure: (app) =>
        app.useGlobalInterceptors(new ClassSerializerInterceptor(app.get(Reflector))),
    });
    return expectRefused(error, {
      given: 'People.hire, with a ClassSerializerInterceptor around it',
    });
  });

  it('may have one within, whose values are what is recorded', async () => {
    @Resolver()
    class People {
      @UseInterceptors(ClassSerializerInterceptor)
      @Idempotent()
      @Mutation(() => Person)
      hire(): Person {
        runs += 1;
        return new Person();
      }
    }
    const app = await bootGraphql({ providers: [People] });
    try {
      for (let time = 0; time < 2; time++)
        expect(await app.ask('mutation { hire { name secret } }', { key: 'b-1' })).toEqual({
          data: { hire: { name: 'Ada', secret: null } },
        });
      expect(runs).toBe(1);
    } finally {
      await app.close();
    }
  });

  it('may not share a field without a scope of its own', () => {
    @Resolver()
    class Two {
      @Idempotent()
      @Mutation(() => Boolean, { name: 'pay' })
      one(): boolean {
        return true;
      }

      @Idempotent()
      @Mutation(() => Boolean, { name: 'pay' })
      other(): boolean {
        return true;
      }
    }
    return expectRefused(bootErrorOf(Two), { option: 'scope of Two.other', given: 'Mutation.pay' });
  });

  it('claim once, also when the interceptor is registered for everything', async () => {
    @Resolver()
    class Once {
      @Idempotent()
      @Mutation(() => Boolean)
      once(): boolean {
        runs += 1;
        return true;
      }
    }
    const app = await bootGraphql({
      providers: [Once, { provide: APP_INTERCEPTOR, useClass: IdempotencyInterceptor }],
    });
    try {
      expect(await app.ask('mutation { once }', { key: 'b-2' })).toEqual({ data: { once: true } });
      expect(runs).toBe(1);
    } finally {
      await app.close();
    }
  });
});

async function expectRefused(booting: Promise<Error>, problem: object): Promise<void> {
  const error = await booting;
  expect(isIdempotencyConfigurationError(error)).toBe(true);
  expect(error).toMatchObject({ problem });
}
