import { Octokit } from '@octokit/core';
import { retry as octokitRetry } from '@octokit/plugin-retry';
import axios, { type AxiosRequestConfig } from 'axios';
import axiosRetry, { exponentialDelay, isNetworkError } from 'axios-retry';
import got, { type RetryOptions as GotRetryOptions } from 'got';
import ky, { type RetryOptions } from 'ky';
import { SquareClient } from 'square';
import Stripe from 'stripe';
import { Agent, RetryAgent, type RetryHandler } from 'undici';

/** Pays an amount under a key, and answers with the status; rejects as the client does. */
export type Pay = (amount: number, key: string) => Promise<number>;

/** A client as a package publishes it. */
export interface OtherClient {
  readonly name: string;
  /** What makes it right, as it stands on the page; absent where nothing is to be changed. */
  readonly line?: string;
  /** @param isSet whether it has the line */
  make(port: number, isSet: boolean): Pay;
}

/** Answers that may be asked for again. */
const LATER = [409, 429, 502, 503, 504];

export const OTHER_CLIENTS: readonly OtherClient[] = [
  {
    name: 'stripe',
    make(port) {
      const address = { host: '127.0.0.1', port, protocol: 'http' } as const;
      const stripe = new Stripe('sk_test_alice', { ...address, telemetry: false });
      return async (amount, idempotencyKey) => {
        const payment = { amount, currency: 'eur' };
        const { lastResponse } = await stripe.paymentIntents.create(payment, { idempotencyKey });
        return lastResponse.statusCode;
      };
    },
  },
  {
    name: 'square',
    make(port) {
      const square = new SquareClient({
        token: 'alice',
        environment: `http://127.0.0.1:${port}`,
        // Its timer keeps the process alive when the connection is lost.
        timeoutInSeconds: 10,
      });
      return async (amount, idempotencyKey) => {
        const amountMoney = { amount: BigInt(amount), currency: 'EUR' } as const;
        const payment = { sourceId: 'cnon:card', idempotencyKey, amountMoney };
        return (await square.payments.create(payment).withRawResponse()).rawResponse.status;
      };
    },
  },
  {
    name: 'axios-retry',
    line: 'retryCondition: (error) => isNetworkError(error) || LATER.includes(error.status ?? 0)',
    make(port, isSet) {
      const http = axios.create();
      axiosRetry(http, {
        retries: 3,
        ...(isSet && {
          retryDelay: exponentialDelay,
          retryCondition: (error) => isNetworkError(error) || LATER.includes(error.status ?? 0),
        }),
      });
      const config = (key: string): AxiosRequestConfig => ({ headers: headersOf(key) });
      return async (amount, key) => (await http.post(urlOf(port), { amount }, config(key))).status;
    },
  },
  {
    name: 'got',
    line: "retry: { methods: ['POST'], statusCodes: LATER }",
    make(port, isSet) {
      // Quicker than is good for a server.
      const retry: Partial<GotRetryOptions> = {
        methods: ['POST'],
        statusCodes: LATER,
        backoffLimit: 50,
      };
      return async (amount, key) => {
        const options = { json: { amount }, headers: headersOf(key), ...(isSet && { retry }) };
        return (await got.post(urlOf(port), options)).statusCode;
      };
    },
  },
  {
    name: 'ky',
    line: "retry: { methods: ['post'], statusCodes: LATER, afterStatusCodes: [409, 429, 503] }",
    make(port, isSet) {
      const retry: RetryOptions = {
        methods: ['post'],
        statusCodes: LATER,
        afterStatusCodes: [409, 429, 503],
      };
      return async (amount, key) => {
        const options = { json: { amount }, headers: headersOf(key), ...(isSet && { retry }) };
        return (await ky.post(urlOf(port), options)).status;
      };
    },
  },
  {
    name: 'undici RetryAgent',
    line: "new RetryAgent(new Agent(), { methods: ['POST'], statusCodes: LATER })",
    make(port, isSet) {
      const set: RetryHandler.RetryOptions = { methods: ['POST'], statusCodes: LATER };
      return async (amount, key) => {
        const agent = new RetryAgent(new Agent(), {
          maxRetries: 3,
          minTimeout: 50,
          ...(isSet && set),
        });
        const url = new URL(urlOf(port));
        try {
          const { statusCode, body } = await agent.request({
            origin: url.origin,
            path: url.pathname,
            method: 'POST',
            headers: { ...headersOf(key), 'content-type': 'application/json' },
            body: JSON.stringify({ amount }),
          });
          await body.dump();
          if (statusCode >= 400) throw Object.assign(new Error('refused'), { statusCode });
          return statusCode;
        } finally {
          await agent.destroy();
        }
      };
    },
  },
  {
    name: '@octokit/plugin-retry',
    make(port) {
      const Retrying = Octokit.plugin(octokitRetry);
      const octokit = new Retrying({
        baseUrl: `http://127.0.0.1:${port}`,
        request: { retries: 3 },
        // A second for each round, where nothing else is said.
        retry: { retryAfterBaseValue: 100 },
        log: { debug() {}, info() {}, warn() {}, error() {} },
      });
      return async (amount, key) => {
        const answer = await octokit.request('POST /payments', {
          amount,
          headers: headersOf(key),
        });
        return answer.status;
      };
    },
  },
];

function urlOf(port: number): string {
  return `http://127.0.0.1:${port}/payments`;
}

function headersOf(key: string): Record<string, string> {
  return { 'Idempotency-Key': key, Authorization: 'Bearer alice' };
}

/** The status that a client failed with; none where it got no answer. */
export function statusOf(error: unknown): number | undefined {
  const { statusCode, status, response } = error as {
    readonly statusCode?: number;
    readonly status?: number;
    readonly response?: { readonly status?: number; readonly statusCode?: number };
  };
  // Octokit calls a lost connection 500.
  if (response === undefined && status === 500) return undefined;
  return statusCode ?? status ?? response?.status ?? response?.statusCode;
}
