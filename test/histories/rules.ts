import type { Acquired } from 'nestjs-idempotency/contracts';
import type { AcquireCall, FindCall, History, OwnersCall, StoreCall } from './history.js';

/** A call that made its caller the owner. */
type Claim = AcquireCall & { answer: Acquired };

/** A history, sorted for the rules. */
interface Sorted {
  readonly leaseMs: number;
  readonly calls: readonly StoreCall[];
  readonly acquires: readonly AcquireCall[];
  /** By their fencing tokens. */
  readonly claims: readonly Claim[];
  readonly owners: readonly OwnersCall[];
  /** Whether the record may have been forgotten between these two moments. */
  mayBeForgotten(from: number, to: number): boolean;
}

type Rule = (history: Sorted) => string[];

/** Clocks of servers count whole milliseconds, and cut off more than once. */
const ROUNDING_MS = 3;

/** What a history shows that no store may do; empty when there is an order of calls that explains it. */
export function violationsOf(history: History): string[] {
  const sorted = sort(history);
  return RULES.flatMap((rule) => rule(sorted));
}

const tokensGrow: Rule = ({ claims }) => [
  ...pairs(claims)
    .filter(([a, b]) => a.answer.fencingToken === b.answer.fencingToken)
    .map(([a, b]) => `${a.owner} and ${b.owner} have one fencing token`),
  ...claims.flatMap((a) =>
    claims
      .filter((b) => a.endedAt < b.startedAt && b.answer.fencingToken < a.answer.fencingToken)
      .map((b) => `the fencing token went back from ${a.owner} to ${b.owner}`),
  ),
];

const attemptsCount: Rule = ({ leaseMs, claims, acquires, mayBeForgotten }) => {
  // A claim whose answer got lost counts as well.
  if (acquires.some(({ hasFailed }) => hasFailed)) return [];
  // A client that sends a claim again after its connection broke counts twice when the lease of the first
  // one is over by then, whatever it is told in the end.
  const repeatsBetween = (from: number, to: number): number =>
    acquires
      .filter(({ startedAt, endedAt }) => endedAt > from && startedAt < to)
      .map(({ startedAt, endedAt }) => (endedAt - startedAt + ROUNDING_MS) / leaseMs)
      .reduce((sum, leases) => sum + Math.floor(leases), 0);
  return pairs(claims)
    .filter(([a, b]) => {
      if (a.fingerprint !== b.fingerprint || mayBeForgotten(a.startedAt, b.endedAt)) return false;
      const unseen = b.answer.attempt - a.answer.attempt - 1;
      return unseen < 0 || (unseen > 0 && unseen > repeatsBetween(a.startedAt, b.endedAt));
    })
    .map(
      ([a, b]) =>
        `attempt ${a.answer.attempt} of ${a.owner} is followed by ${b.answer.attempt} of ${b.owner}`,
    );
};

/** From the answer to its claim until its lease is over for sure, or it may have settled. */
const hasOneOwner: Rule = ({ claims, owners, leaseMs }) =>
  claims.flatMap((claim) => {
    const own = owners.filter(({ owner }) => owner === claim.owner);
    const renewed = own.filter(({ verb, answer }) => verb === 'extend' && answer === true);
    const leasedUntil =
      Math.max(claim.startedAt, ...renewed.map(({ startedAt }) => startedAt)) + leaseMs;
    const settling = own.filter(({ verb }) => verb !== 'extend' && verb !== 'saveStep');
    const aliveUntil = Math.min(leasedUntil, ...settling.map(({ startedAt }) => startedAt));
    return claims
      .filter(
        (other) =>
          other !== claim &&
          other.startedAt > claim.endedAt &&
          other.endedAt < aliveUntil - ROUNDING_MS,
      )
      .map((other) => `${other.owner} claimed while ${claim.owner} was alive`);
  });

const refusesStaleOwners: Rule = ({ claims, owners }) =>
  claims.flatMap((claim) => {
    const own = owners.filter(({ owner, isSettlement }) => owner === claim.owner && !isSettlement);
    const later = claims.filter(({ answer }) => answer.fencingToken > claim.answer.fencingToken);
    return later.flatMap((other) =>
      own
        .filter((call) => call.startedAt > other.endedAt && call.answer === true)
        // Repeated, a completion is told again that it was carried out.
        .filter((call) => !(call.verb === 'complete' && wasCompleted(own, other)))
        .map(
          (call) => `${call.verb} of ${claim.owner} was carried out after ${other.owner} claimed`,
        ),
    );
  });

function wasCompleted(own: readonly OwnersCall[], before: Claim): boolean {
  return own.some(
    ({ verb, answer, startedAt }) =>
      verb === 'complete' && answer === true && startedAt < before.startedAt,
  );
}

const hasOneReply: Rule = ({ calls, mayBeForgotten }) => {
  const seen = calls.flatMap((call) => {
    const reply = replyIn(call);
    return reply === undefined ? [] : [{ reply, at: call.startedAt, until: call.endedAt }];
  });
  return pairs(seen)
    .filter(
      ([a, b]) =>
        a.reply !== b.reply && !mayBeForgotten(Math.min(a.at, b.at), Math.max(a.until, b.until)),
    )
    .map(([a, b]) => `two replies: ${a.reply} and ${b.reply}`);
};

const staysCompleted: Rule = ({ owners, acquires, mayBeForgotten }) =>
  owners
    .filter(({ verb, answer }) => verb === 'complete' && answer === true)
    .flatMap((completion) => {
      const { owner, text } = completion;
      const isFirst = !owners.some(
        (other) =>
          other.owner === owner &&
          other.verb === 'complete' &&
          other.startedAt < completion.startedAt,
      );
      return acquires
        .filter(
          (call) =>
            call.startedAt > completion.endedAt &&
            !call.hasFailed &&
            !mayBeForgotten(completion.startedAt, call.endedAt),
        )
        .flatMap((call) => {
          if (call.answer?.outcome === 'mismatch') return [];
          if (call.answer?.outcome !== 'completed')
            return [`completed by ${owner}, and ${call.owner} was told: ${call.answer?.outcome}`];
          const reply = replyIn(call);
          return isFirst && !completion.isSettlement && reply !== text
            ? [`the reply of ${owner} is ${reply}`]
            : [];
        });
    });

const staysHeld: Rule = ({ owners, claims, mayBeForgotten }) =>
  owners
    .filter(({ verb, answer }) => verb === 'hold' && answer === true)
    .flatMap((hold) =>
      claims
        .filter(
          (claim) =>
            claim.startedAt > hold.endedAt &&
            !mayBeForgotten(hold.startedAt, claim.endedAt) &&
            !owners.some(
              ({ isSettlement, startedAt, endedAt }) =>
                isSettlement && startedAt < claim.endedAt && endedAt > hold.startedAt,
            ),
        )
        .map((claim) => `held by ${hold.owner}, and claimed by ${claim.owner}`),
    );

const keepsSteps: Rule = ({ owners, claims, mayBeForgotten }) =>
  owners
    .filter(({ verb, answer }) => verb === 'saveStep' && answer === true)
    .flatMap((step) =>
      claims
        .filter(
          (claim) =>
            claim.startedAt > step.endedAt &&
            !mayBeForgotten(step.startedAt, claim.endedAt) &&
            !claim.answer.steps.has(step.text),
        )
        .map((claim) => `step ${step.text} of ${step.owner} is missing for ${claim.owner}`),
    );

const comparesContent: Rule = ({ claims, acquires, owners, mayBeForgotten }) =>
  claims.flatMap((claim) => {
    const completion = owners.find(
      ({ owner, verb, answer }) => owner === claim.owner && verb === 'complete' && answer === true,
    );
    if (completion === undefined || claim.fingerprint === '') return [];
    return acquires
      .filter(
        (call) =>
          call.startedAt > completion.endedAt &&
          call.fingerprint !== '' &&
          call.fingerprint !== claim.fingerprint &&
          !call.hasFailed &&
          !mayBeForgotten(claim.startedAt, call.endedAt) &&
          call.answer?.outcome !== 'mismatch',
      )
      .map((call) => `${call.owner} has other content, and was told: ${call.answer?.outcome}`);
  });

const RULES: readonly Rule[] = [
  tokensGrow,
  attemptsCount,
  hasOneOwner,
  refusesStaleOwners,
  hasOneReply,
  staysCompleted,
  staysHeld,
  keepsSteps,
  comparesContent,
];

function sort({ calls, leaseMs }: History): Sorted {
  const acquires = calls.filter((call) => call.verb === 'acquire');
  const forgets = calls.filter(
    ({ verb, hasFailed, ...call }) =>
      verb === 'forget' && (hasFailed || (call as { answer?: boolean }).answer === true),
  );
  return {
    leaseMs,
    calls,
    acquires,
    claims: acquires
      .filter((call): call is Claim => call.answer?.outcome === 'acquired')
      .sort((a, b) => a.answer.fencingToken - b.answer.fencingToken),
    owners: calls.filter(
      (call) => call.verb !== 'acquire' && call.verb !== 'find' && call.verb !== 'forget',
    ),
    mayBeForgotten: (from, to) =>
      forgets.some(({ startedAt, endedAt }) => endedAt > from && startedAt < to),
  };
}

function replyIn(call: AcquireCall | FindCall | StoreCall): string | undefined {
  if (call.verb === 'acquire' && call.answer?.outcome === 'completed')
    return textOf(call.answer.reply);
  if (call.verb === 'find' && call.answer?.state === 'completed') return textOf(call.answer.reply!);
  return undefined;
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString();
}

/** Each with the one after it. */
function pairs<T>(values: readonly T[]): (readonly [T, T])[] {
  return values.slice(1).map((after, index) => [values[index] as T, after] as const);
}
