import { request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { firstValueFrom, from, isObservable } from 'rxjs';
import type { StormApp } from './application.js';
import type { Asked, Paid } from './business.js';
import { credentialsOf } from './identity.js';
import { afterPatience } from './patience.js';
import type { CallPlan, HandlerPlan, StormPlan } from './plan.js';

/** What a client saw of one call. */
export interface Answer {
  readonly asked: Asked;
  /** 0: the connection ended without an answer. */
  readonly status: number;
  readonly paid: Partial<Paid> | undefined;
  readonly isReplayed: boolean;
  /** No answer came, and the connection did not end. */
  readonly isHanging: boolean;
  readonly hasLeft: boolean;
}

const PATIENCE_MS = 20_000;
const FINAL = (status: number): boolean => ![0, 408, 409, 425, 429, 500, 503].includes(status);

/** Everything that one client does: it may leave, and asks again with the same key. */
export async function act(app: StormApp, plan: StormPlan, call: CallPlan): Promise<Answer[]> {
  const answers: Answer[] = [];
  await sleep(call.startsAfterMs);
  for (let attempt = 0; attempt <= call.retries; attempt += 1) {
    const leavesAfterMs = attempt === 0 ? call.leavesAfterMs : undefined;
    const answer = await ask(app, plan, { ...call, leavesAfterMs });
    answers.push(answer);
    if (FINAL(answer.status)) break;
  }
  return answers;
}

/** One call. Never fails. */
export async function ask(app: StormApp, plan: StormPlan, call: CallPlan): Promise<Answer> {
  const handler = plan.handlers[call.handler]!;
  const { caller, key, amount } = call;
  const asked: Asked = { place: placeOf(handler, call.variant), caller, key, amount };
  const id = `${caller} ${key}`;
  const till = app.tills.get(handler.name);
  if (till !== undefined) return direct(asked, () => till.charge(id, amount));
  if (handler.form !== 'message')
    return overHttp(app, asked, credentialsOf(plan.callers, caller), handler, call);
  return direct(asked, async () => {
    const [paid] = await app.messages.hand(handler.name, { id, amount }, {});
    return paid as Paid;
  });
}

function placeOf({ form, name }: HandlerPlan, variant: 0 | 1): string {
  if (form === 'mounted twice') return `${name} ${MOUNTS[variant]}`;
  return form === 'versions' ? `${name} v${variant + 1}` : name;
}

const MOUNTS = ['east', 'west'] as const;

function pathOf({ form, name }: HandlerPlan, variant: 0 | 1): string {
  if (form === 'mutation') return '/graphql';
  return form === 'mounted twice' ? `/${MOUNTS[variant]}/${name}` : `/${name}`;
}

async function direct(asked: Asked, call: () => Promise<Paid>): Promise<Answer> {
  const more = { asked, isReplayed: false, hasLeft: false };
  try {
    const paid = await withPatience(call());
    if (paid === 'hanging') return { ...more, status: 0, paid: undefined, isHanging: true };
    const value = isObservable(paid) ? await firstValueFrom(from(paid)) : paid;
    return { ...more, status: 201, paid: value as Paid, isHanging: false };
  } catch {
    return { ...more, status: 500, paid: undefined, isHanging: false };
  }
}

function withPatience<T>(answer: Promise<T>): Promise<T | 'hanging'> {
  return new Promise((resolve, reject) => {
    const calm = afterPatience(PATIENCE_MS, () => resolve('hanging'));
    answer.then(resolve, reject).finally(calm);
  });
}

function overHttp(
  { socketPath }: StormApp,
  asked: Asked,
  credentials: Record<string, string>,
  handler: HandlerPlan,
  { variant, leavesAfterMs }: CallPlan,
): Promise<Answer> {
  const isMutation = handler.form === 'mutation';
  const content = isMutation
    ? { query: `mutation { pay(amount: ${asked.amount}) }` }
    : { amount: asked.amount };
  const bytes = JSON.stringify(content);
  return new Promise((resolve) => {
    let isHanging = false;
    let hasLeft = false;
    const end = (status: number, text = '', isReplayed = false): void => {
      clearTimeout(departure);
      calm();
      const paid = text === '' ? undefined : paidIn(text, isMutation);
      const failed = isMutation && status === 200 && paid === undefined;
      const told = failed ? 500 : isMutation && status === 200 ? 201 : status;
      resolve({ asked, status: told, paid, isReplayed, isHanging, hasLeft });
    };
    const sent = request(
      {
        socketPath,
        path: pathOf(handler, variant),
        method: 'POST',
        agent: false,
        headers: {
          ...credentials,
          'content-type': 'application/json',
          'content-length': String(Buffer.byteLength(bytes)),
          'idempotency-key': asked.key,
          'x-place': asked.place,
          ...(handler.form === 'versions' && { 'x-version': String(variant + 1) }),
        },
      },
      (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('error', () => end(0));
        response.on('end', () => {
          const text = Buffer.concat(chunks).toString();
          end(response.statusCode ?? 0, text, 'idempotent-replayed' in response.headers);
        });
      },
    );
    const departure =
      leavesAfterMs === undefined
        ? undefined
        : setTimeout(() => {
            hasLeft = true;
            sent.destroy();
          }, leavesAfterMs);
    const calm = afterPatience(PATIENCE_MS, () => {
      isHanging = true;
      sent.destroy();
    });
    sent.on('error', () => end(0));
    sent.end(bytes);
  });
}

/** What a reply says that was paid; GraphQL puts it into a string. */
function paidIn(text: string, isMutation: boolean): Partial<Paid> | undefined {
  try {
    const body = JSON.parse(text) as Partial<Paid> & { data?: { pay?: string | null } | null };
    if (!isMutation) return body;
    return typeof body.data?.pay === 'string' ? (JSON.parse(body.data.pay) as Paid) : undefined;
  } catch {
    return undefined;
  }
}
