import { Controller, type ExceptionFilter, HttpException, Post } from '@nestjs/common';
import type { NextFunction, Request, Response } from 'express';
import {
  body,
  Idempotent,
  type IdempotentOperation,
  MemoryStore,
  Operation,
} from 'nestjs-idempotency';
import { failBefore, FaultInjectingStore, Gate } from 'nestjs-idempotency/testing';
import { boot, eventually, type TestApp } from '../../support/http.js';
import { type Pay, statusOf } from './other-clients.js';

export const SITUATIONS = [
  'reply lost',
  'still running',
  'still running, `wait`',
  'store away',
  'other content',
  'outcome unknown',
] as const;
export type Situation = (typeof SITUATIONS)[number];

/** What a client made of a situation. */
export interface Outcome {
  /** Of the answer that its caller got; none where it got no answer. */
  readonly status: number | undefined;
  readonly requests: number;
  readonly keys: number;
  readonly runs: number;
}

/** An application that takes payments in the ways of several providers, and things that go wrong. */
export class PaymentsWorld {
  private runs = 0;
  private gate = new Gate();
  private isHeld = false;
  /** How many replies are still to be lost. */
  private lost = 0;
  private keys: (string | undefined)[] = [];
  private readonly store = new FaultInjectingStore(new MemoryStore());
  private app: TestApp | undefined;

  static async start(isWaiting: boolean, ...filters: ExceptionFilter[]): Promise<PaymentsWorld> {
    const world = new PaymentsWorld();
    world.app = await boot('express', {
      controllers: [controllerOf((operation) => world.pay(operation))],
      idempotency: {
        store: world.store,
        principal: ({ request }) => String(request.headers['authorization']),
        ...(isWaiting && { defaults: { wait: '20s' } }),
      },
      configure: (app) => {
        app.use((...args: [Request, Response, NextFunction]) => world.watch(...args));
        app.useGlobalFilters(...filters);
      },
    });
    world.gate.open();
    return world;
  }

  get port(): number {
    return this.app!.port;
  }

  async close(): Promise<void> {
    await this.app?.close();
  }

  async outcomeIn(situation: Situation, send: Pay): Promise<Outcome> {
    this.runs = 0;
    this.isHeld = false;
    this.keys = [];
    switch (situation) {
      case 'reply lost':
        this.lost = 1;
        return this.outcomeOf(send(5, situation));
      case 'still running':
      case 'still running, `wait`': {
        this.gate = new Gate();
        const first = send(5, situation);
        await eventually(() => this.runs === 1);
        this.keys = [];
        const second = this.outcomeOf(send(5, situation));
        await eventually(() => this.keys.length > 0);
        // Not before the second is refused, or waits.
        await new Promise((resolve) => setTimeout(resolve, 100));
        this.gate.open();
        await first;
        return second;
      }
      case 'store away':
        this.store.next('acquire', failBefore());
        return this.outcomeOf(send(5, situation));
      case 'other content':
        await send(5, situation);
        this.keys = [];
        return this.outcomeOf(send(6, situation));
      case 'outcome unknown':
        this.isHeld = true;
        await send(5, situation).catch(() => undefined);
        this.keys = [];
        return this.outcomeOf(send(5, situation));
    }
  }

  private async outcomeOf(answer: Promise<number>): Promise<Outcome> {
    const status = await answer.catch(statusOf);
    const { keys, runs } = this;
    return { status, requests: keys.length, keys: new Set(keys).size, runs };
  }

  private async pay(operation: IdempotentOperation): Promise<object> {
    this.runs++;
    if (this.isHeld) {
      await operation.hold('The bank did not answer.');
      throw new HttpException('The bank did not answer.', 502);
    }
    await this.gate.pass();
    return { id: 'payment-1', object: 'payment_intent', payment: { id: 'payment-1' } };
  }

  private watch(request: Request, response: Response, next: NextFunction): void {
    this.keys.push(request.headers['idempotency-key']?.toString());
    if (this.lost > 0) {
      this.lost--;
      response.end = () => response.destroy();
    }
    next();
  }
}

function controllerOf(pay: (operation: IdempotentOperation) => Promise<object>) {
  @Controller()
  class Payments {
    @Idempotent()
    @Post(['payments', 'v1/payment_intents'])
    create(@Operation() operation: IdempotentOperation): Promise<object> {
      return pay(operation);
    }

    @Idempotent({ key: body<{ idempotency_key: string }>('idempotency_key') })
    @Post('v2/payments')
    createOfSquare(@Operation() operation: IdempotentOperation): Promise<object> {
      return pay(operation);
    }
  }
  return Payments;
}
