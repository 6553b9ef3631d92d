import { HttpException, HttpStatus } from '@nestjs/common';
import { STATUS_CODES } from 'node:http';
import { wrongOption } from '../engine/configuration-error.js';
import type {
  AbandonedDecision,
  AbandonedOperation,
  OperationRequest,
} from '../engine/operation.js';
import type { HandlerRegistry } from '../handlers/handler-registry.js';
import type { IdempotentOptions } from '../options/idempotency.options.js';
import { encodeHttpReply, encodeValueReply } from '../replies/codec.js';
import { sentAsJson } from '../replies/json-view.js';
import type { Keeping } from '../replies/kept-value.js';
import { NotKeepableError } from '../replies/not-keepable.js';
import { plainnessOf } from '../replies/plain-values.js';
import type { ErrorReply, HeaderField, HttpReply, ValueReply } from '../replies/reply.js';
import { deriveKey, savedId } from '../operation/current-operation.js';
import { isResultNotKept, stepResult, valuesOf } from '../operation/steps.js';
import type { ReplyValues } from '../replies/values.js';
import { isRecoveredReply, type RecoveredReply } from '../operation/recovery.js';

/** What is known about the call that asks; in a sweep, without key and principal. */
interface KnownIdentity {
  readonly key?: string | undefined;
  readonly scope: string;
  readonly principal?: string | undefined;
  readonly label?: string | undefined;
  readonly isSweep?: boolean;
}

/**
 * Turns an `onAbandoned` function into the function that the engine calls. An answer that is none of
 * the possible ones holds the operation.
 */
export function recovery(
  onAbandoned: IdempotentOptions['onAbandoned'],
  identity: KnownIdentity,
  id: string,
  values: ReplyValues,
  encode: (reply: RecoveredReply) => Uint8Array,
): OperationRequest['recover'] {
  if (typeof onAbandoned !== 'function') return undefined;
  const { scope, label, isSweep = false } = identity;
  return async ({
    attempt,
    steps,
  }: AbandonedOperation): Promise<AbandonedDecision | Uint8Array> => {
    let unknown: unknown;
    let decision: AbandonedDecision | RecoveredReply;
    try {
      decision = await onAbandoned({
        get key() {
          return isSweep ? unknownInSweep('key') : identity.key!;
        },
        get principal() {
          return isSweep ? unknownInSweep('principal') : identity.principal;
        },
        scope,
        label,
        isSweep,
        attempt,
        deriveKey: (name) => deriveKey(id, name),
        id: (name) => savedId(steps, name),
        stepResult: (name, options) => {
          const saved = steps.get(name);
          if (saved === undefined) return undefined;
          try {
            return stepResult(saved, valuesOf(name, values, options));
          } catch (error) {
            if (isResultNotKept(error)) unknown = error;
            throw error;
          }
        },
      });
    } catch (error) {
      if (error === unknown) return 'hold';
      throw error;
    }
    if (isRecoveredReply(decision)) return encode(decision);
    return decision === 'rerun' ? 'rerun' : 'hold';
  };
}

function unknownInSweep(name: string): never {
  throw wrongOption(
    `onAbandoned, ${name} of its call`,
    undefined,
    'nothing while a sweep asks, because no store knows it',
    'Ask with call.deriveKey(), call.id() or call.label.',
  );
}

/**
 * The bytes that a record keeps of a reply that nobody's handler has sent. For a handler of another
 * process, plain data takes a form that every kind of handler can read.
 *
 * @param values for a scope that no handler here has
 * @throws {@link NotKeepableError}
 */
export function encodeForScope(
  reply: RecoveredReply,
  scope: string | undefined,
  handlers: Pick<HandlerRegistry, 'hasScope' | 'withScope'>,
  values: ReplyValues,
): Uint8Array {
  const ofHandler = scope === undefined ? undefined : handlers.withScope(scope)?.values;
  const known = ofHandler ?? values;
  const isHttp =
    reply.status !== undefined ||
    (scope !== undefined && handlers.hasScope('http', scope)) ||
    (ofHandler === undefined && plainnessOf(reply.value) === 'json');
  return isHttp ? encodeRecoveredHttpReply(reply, known) : encodeRecoveredValue(reply, known);
}

/**
 * @throws {@link NotKeepableError} for a value that JSON does not have, and for one that
 *   `class-transformer` would show differently, because no serializer is asked
 */
export function encodeRecoveredHttpReply(
  { value, status = 200, headers }: RecoveredReply,
  keeping: Keeping,
): Uint8Array {
  const [body, type] = bodyOf(value, keeping);
  const typed = type === undefined ? headers : withType(headers, type);
  return encodeHttpReply(status, typed, body, { isGiven: true });
}

function bodyOf(value: unknown, keeping: Keeping): [body: Uint8Array, type: string | undefined] {
  if (value === undefined) return [new Uint8Array(), undefined];
  if (value instanceof Uint8Array) return [value, 'application/octet-stream'];
  return typeof value === 'string'
    ? [Buffer.from(value), 'text/plain; charset=utf-8']
    : [Buffer.from(jsonOf(value, keeping)), 'application/json; charset=utf-8'];
}

function jsonOf(value: unknown, keeping: Keeping): string {
  const text = JSON.stringify(sentAsJson(value, keeping)) as string | undefined;
  if (text === undefined)
    throw new NotKeepableError(undefined, `a ${typeof value}`, 'JSON does not have');
  return text;
}

/** @throws {@link NotKeepableError} for a value that cannot be kept */
export function encodeRecoveredValue({ value }: RecoveredReply, keeping: Keeping): Uint8Array {
  return encodeValueReply(value, keeping);
}

/**
 * What a reply of HTTP means to a handler outside HTTP, if an operator gave it: its content, or from
 * status 400 on an `HttpException`. Whoever settles an operation by its id may not know what its handler
 * answers.
 */
export function givenOutsideHttp({ status, headers, body }: HttpReply): ValueReply | ErrorReply {
  const value = contentOf(headers, body);
  if (status < LEAST_ERROR) return { kind: 'value', value };
  const response = (value ?? STATUS_CODES[status] ?? '') as string | Record<string, unknown>;
  return { kind: 'error', error: new HttpException(response, status) };
}

const LEAST_ERROR: number = HttpStatus.BAD_REQUEST;

function contentOf(headers: readonly HeaderField[], body: Uint8Array): unknown {
  const type = headers.find(([name]) => name.toLowerCase() === 'content-type')?.[1];
  if (type === undefined && body.length === 0) return undefined;
  if (type === 'application/octet-stream') return Buffer.from(body);
  const text = Buffer.from(body).toString();
  if (!/[/+]json\b/i.test(String(type))) return text;
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text;
  }
}

function withType(headers: readonly HeaderField[], type: string): readonly HeaderField[] {
  const isGiven = headers.some(([name]) => name.toLowerCase() === 'content-type');
  return isGiven ? headers : [...headers, ['Content-Type', type]];
}
