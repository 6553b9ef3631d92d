import {
  ConflictException,
  ServiceUnavailableException,
  UnprocessableEntityException,
} from '@nestjs/common';
import { currentManager } from 'nestjs-idempotency/typeorm';
import { setTimeout as sleep } from 'node:timers/promises';
import type { DataSource } from 'typeorm';
import type { Random } from '../support/random.js';

/** Who asks for what, where. */
export interface Asked {
  readonly place: string;
  readonly caller: string;
  readonly key: string;
  readonly amount: number;
}

/** What a handler returns. */
export interface Paid extends Asked {
  /** Another one each time that the handler is entered. */
  readonly run: string;
}

/** What becomes of one run of a handler. */
type Fate = 'succeeds' | 'fails' | 'is refused' | 'asks for a retry' | 'cannot be told';

/** What all handlers do: it takes a while, and it either is done or is not. */
export class Business {
  /** Runs that came to a good end, without those in transactions. */
  readonly effects: Paid[] = [];
  /** Handlers at work. */
  running = 0;
  private runs = 0;

  constructor(
    private readonly random: Random,
    private readonly longestMs: number,
    private readonly hasAwkwardReplies: boolean,
    /** Where work and its record are one commit. */
    private readonly dataSource: DataSource | undefined,
  ) {}

  async pay(asked: Asked): Promise<Paid> {
    this.running += 1;
    try {
      this.runs += 1;
      const paid = { ...asked, run: `run${this.runs}of${asked.place}` };
      const fate = this.fate();
      await sleep(this.random.between(0, this.longestMs));
      if (fate === 'fails') throw new Error('The bank is closed.');
      if (fate === 'is refused') throw new UnprocessableEntityException('Too poor.');
      if (fate === 'asks for a retry') throw this.random.oneOf(RETRYABLE)();
      if (this.dataSource === undefined) this.effects.push(paid);
      else
        await currentManager(this.dataSource).query(
          'INSERT INTO storm_effects (place, caller, key, amount, run) VALUES ($1, $2, $3, $4, $5)',
          [paid.place, paid.caller, paid.key, paid.amount, paid.run],
        );
      return fate === 'cannot be told' ? ({ ...paid, big: 1n } as Paid) : paid;
    } finally {
      this.running -= 1;
    }
  }

  private fate(): Fate {
    const drawn = this.random.next();
    if (drawn < 0.08) return 'fails';
    if (drawn < 0.12) return 'is refused';
    if (drawn < 0.17) return 'asks for a retry';
    return this.hasAwkwardReplies && drawn < 0.25 ? 'cannot be told' : 'succeeds';
  }
}

const RETRYABLE = [
  () => new ConflictException('Not now.'),
  () => new ServiceUnavailableException('Not now.'),
];
