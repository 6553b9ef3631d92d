import {
  Body,
  Controller,
  Headers,
  Injectable,
  Post,
  Res,
  Scope,
  type Type,
  UseInterceptors,
  Version,
} from '@nestjs/common';
import { Args, Context, Mutation, Resolver } from '@nestjs/graphql';
import { MessagePattern, Payload } from '@nestjs/microservices';
import { arg, Idempotent, type IdempotentOptions, payload } from 'nestjs-idempotency';
import { defer, type Observable } from 'rxjs';
import type { Business, Paid } from './business.js';
import { headersOf, whoAsks } from './identity.js';
import type { Layers } from './layers.js';
import type { HandlerPlan, OuterLayer } from './plan.js';

/** What a class of handlers is made from. */
export interface Making {
  readonly plan: HandlerPlan;
  readonly onClass: readonly OuterLayer[];
  readonly options: IdempotentOptions;
  readonly business: Business;
  readonly layers: Layers;
}

type HeaderFields = Readonly<Record<string, string | undefined>>;

/** What both platforms can be told in their own way. */
interface AnyResponse {
  status(code: number): { send(body: unknown): unknown };
}

/** A method that runs once per key, for code that calls it. */
export interface Till {
  charge(key: string, amount: number): Promise<Paid>;
}

/** Protection of a method, with the layers around it and within; decorators run from below. */
function protectedBy({ plan, layers, options }: Making): MethodDecorator {
  const outer = UseInterceptors(...layers.interceptors(plan.outer));
  const inner = UseInterceptors(...layers.interceptors(plan.inner));
  return (target, name, descriptor) => {
    outer(target, name, descriptor);
    Idempotent(options as object)(target, name, descriptor);
    inner(target, name, descriptor);
  };
}

/** The controllers of a handler; none for what is no route. */
export function controllersOf(making: Making): Type[] {
  switch (making.plan.form) {
    case 'plain':
    case 'wrapped on the prototype':
    case 'wrapped on the instance':
    case 'mounted twice':
    case 'bound':
      return [plain(making)];
    case 'request-scoped':
      return [plain(making, Scope.REQUEST)];
    case 'inherited':
      return [inherited(making)];
    case 'overridden':
      return [overridden(making)];
    case 'response':
      return [onResponse(making)];
    case 'observable':
      return [observable(making)];
    case 'versions':
      return [versioned(making, '1'), versioned(making, '2')];
    case 'on the class':
      return [onTheClass(making)];
    case 'message':
      return [message(making)];
    case 'provider':
    case 'late provider':
    case 'mutation':
      return [];
  }
}

function plain(making: Making, scope = Scope.DEFAULT): Type {
  const { plan, onClass, business, layers } = making;
  @Controller({ path: plan.name, scope })
  @UseInterceptors(...layers.interceptors(onClass))
  class PlainController {
    constructor() {
      if (plan.form === 'bound') this.pay = this.pay.bind(this);
    }

    @protectedBy(making)
    @Post()
    async pay(@Headers() headers: HeaderFields, @Body('amount') amount: number): Promise<Paid> {
      // Two mounts of one controller differ in nothing but where they are.
      const place = headers['x-place'] ?? plan.name;
      return business.pay({ place, ...whoAsks(headers), amount });
    }
  }
  return PlainController;
}

function inherited(making: Making): Type {
  const { plan, onClass, business, layers } = making;
  abstract class Payments {
    @protectedBy(making)
    @Post()
    async pay(@Headers() headers: HeaderFields, @Body('amount') amount: number): Promise<Paid> {
      return business.pay({ place: plan.name, ...whoAsks(headers), amount });
    }
  }
  @Controller(plan.name)
  @UseInterceptors(...layers.interceptors(onClass))
  class InheritingController extends Payments {}
  return InheritingController;
}

/** The override is a handler of its own that leaves the work to the protected one. */
function overridden(making: Making): Type {
  const { plan, onClass, business, layers } = making;
  class Payments {
    @protectedBy(making)
    @Post()
    async pay(headers: HeaderFields, amount: number): Promise<Paid> {
      return business.pay({ place: plan.name, ...whoAsks(headers), amount });
    }
  }
  @Controller(plan.name)
  @UseInterceptors(...layers.interceptors(onClass))
  class OverridingController extends Payments {
    @Post()
    override async pay(
      @Headers() headers: HeaderFields,
      @Body('amount') amount: number,
    ): Promise<Paid> {
      return super.pay(headers, amount);
    }
  }
  return OverridingController;
}

function onResponse(making: Making): Type {
  const { plan, onClass, business, layers } = making;
  @Controller(plan.name)
  @UseInterceptors(...layers.interceptors(onClass))
  class RespondingController {
    @protectedBy(making)
    @Post()
    async pay(
      @Headers() headers: HeaderFields,
      @Body('amount') amount: number,
      @Res() response: AnyResponse,
    ): Promise<void> {
      const paid = await business.pay({ place: plan.name, ...whoAsks(headers), amount });
      // What cannot be serialised would fail here, in the handler.
      response.status(201).send({ ...paid, big: undefined });
    }
  }
  return RespondingController;
}

function observable(making: Making): Type {
  const { plan, onClass, business, layers } = making;
  @Controller(plan.name)
  @UseInterceptors(...layers.interceptors(onClass))
  class ObservableController {
    @protectedBy(making)
    @Post()
    pay(@Headers() headers: HeaderFields, @Body('amount') amount: number): Observable<Paid> {
      return defer(() => business.pay({ place: plan.name, ...whoAsks(headers), amount }));
    }
  }
  return ObservableController;
}

function versioned(making: Making, version: string): Type {
  const { plan, onClass, business, layers } = making;
  @Controller(plan.name)
  @UseInterceptors(...layers.interceptors(onClass))
  class VersionedController {
    @protectedBy(making)
    @Version(version)
    @Post()
    async pay(@Headers() headers: HeaderFields, @Body('amount') amount: number): Promise<Paid> {
      return business.pay({ place: `${plan.name} v${version}`, ...whoAsks(headers), amount });
    }
  }
  return VersionedController;
}

function onTheClass({ plan, onClass, options, business, layers }: Making): Type {
  @Controller(plan.name)
  @Idempotent(options as object)
  @UseInterceptors(...layers.interceptors(onClass), ...layers.interceptors(plan.outer))
  class CoveredController {
    @UseInterceptors(...layers.interceptors(plan.inner))
    @Post()
    async pay(@Headers() headers: HeaderFields, @Body('amount') amount: number): Promise<Paid> {
      return business.pay({ place: plan.name, ...whoAsks(headers), amount });
    }
  }
  return CoveredController;
}

/** Messages carry who asks in their content. */
function message(making: Making): Type {
  const { plan, onClass, business, layers } = making;
  const options = { ...making.options, key: payload('id') };
  @Controller()
  @UseInterceptors(...layers.interceptors(onClass))
  class MessageController {
    @protectedBy({ ...making, options })
    @MessagePattern(plan.name)
    async pay(@Payload() { id, amount }: { id: string; amount: number }): Promise<Paid> {
      return business.pay({ place: plan.name, ...callerAndKey(id), amount });
    }
  }
  return MessageController;
}

/** A provider with a protected method. */
export function tillOf({ plan, options, business }: Making): Type<Till> {
  @Injectable()
  class Counter implements Till {
    @Idempotent({ ...options, key: arg(0) } as object)
    async charge(key: string, amount: number): Promise<Paid> {
      return business.pay({ place: plan.name, ...callerAndKey(key), amount });
    }
  }
  // Its scope is made of the name of its class.
  Object.defineProperty(Counter, 'name', { value: `CounterOf${plan.name}` });
  return Counter;
}

/** Schema first: what is declared in code stays for the whole process. */
export const TYPE_DEFS = `
  type Query { isUp: Boolean }
  type Mutation { pay(amount: Int!): String }
`;

export function resolverOf(making: Making): Type {
  const { plan, onClass, business, layers } = making;
  @Resolver()
  @UseInterceptors(...layers.interceptors(onClass))
  class PaymentsResolver {
    @protectedBy(making)
    @Mutation('pay')
    async pay(
      @Args('amount') amount: number,
      @Context() context: { req: { headers: HeaderFields } },
    ): Promise<string> {
      const headers = headersOf(context.req);
      const paid = await business.pay({ place: plan.name, ...whoAsks(headers), amount });
      return JSON.stringify({ ...paid, big: undefined });
    }
  }
  return PaymentsResolver;
}

function callerAndKey(id: string): { caller: string; key: string } {
  const [caller = '', key = ''] = id.split(' ');
  return { caller, key };
}
