/**
 * What stands before every fragment in the documents: a `ts` block without an `import` of its own.
 * A fragment that is a handler goes into a class that extends `Fragment`.
 */
/* oxlint-disable no-unused-vars -- the fragments use it */
import { Body, Controller, Module, Param, Post } from '@nestjs/common';
import {
  body,
  header,
  Idempotent,
  IdempotencyModule,
  type IdempotencyService,
  type IdempotentOperation,
  Operation,
  param,
  principal,
  recoveredReply,
  signature,
} from 'nestjs-idempotency';
import {
  IdempotencyStrategy,
  type IdempotencyStrategyContract,
  type StrategyContext,
  type StrategyPlan,
} from 'nestjs-idempotency/contracts';

interface PayDto {
  readonly orderId: string;
  readonly orderNo: string;
  readonly amount: number;
  readonly customer: { readonly id: string };
}
interface TransferDto {
  readonly serialNo: string;
  readonly amount: number;
}
interface CommentDto {
  readonly text: string;
  readonly sentAt: string;
}

/** A payment provider that takes idempotency keys of its own. */
interface Provider {
  charge(
    what: unknown,
    options: { idempotencyKey: string; signal?: AbortSignal },
  ): Promise<{ id: string }>;
  find(idempotencyKey: string): Promise<{ id: string } | undefined>;
}

declare const idempotency: IdempotencyService;
/** From an alarm. */
declare const recordId: string;
declare const provider: Provider;
declare const order: { readonly no: string };
declare function alertOperators(scope: string, id: string, reason: string): void;

abstract class Fragment {
  protected abstract readonly provider: Provider;
  protected abstract readonly bank: { transfer(dto: TransferDto): Promise<{ id: string }> };
  protected abstract readonly comments: { add(dto: CommentDto): Promise<{ id: string }> };
  protected abstract readonly votes: { count(target: string): Promise<{ votes: number }> };
}
