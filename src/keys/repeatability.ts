import type { IdempotentCall } from './call.js';
import { parseKeyHeader } from './header-source.js';
import { InvalidKeyError, type KeySource } from './key-source.js';

/** The headers of OASIS Repeatable Requests 1.0. */
export const REPEATABILITY = {
  id: 'Repeatability-Request-ID',
  firstSent: 'Repeatability-First-Sent',
  client: 'Repeatability-Client-ID',
  result: 'Repeatability-Result',
} as const;

const ID = REPEATABILITY.id.toLowerCase();
const FIRST_SENT = REPEATABILITY.firstSent.toLowerCase();
const CLIENT = REPEATABILITY.client.toLowerCase();

/**
 * The key of OASIS Repeatable Requests 1.0, as Azure's clients send it: `Repeatability-Request-ID`, with
 * `Repeatability-First-Sent`, the time of the first attempt (an HTTP date, such as
 * `Tue, 01 Dec 2026 10:00:00 GMT`), and perhaps `Repeatability-Client-ID`.
 *
 * A retry that comes after its record is gone is refused with 412 (`maxAge`), and other content under the
 * same id with 400. `Repeatability-Result` says `accepted` or `rejected`. One of the two headers without
 * the other is refused.
 *
 * @see https://docs.oasis-open.org/odata/repeatable-requests/v1.0/repeatable-requests-v1.0.html
 */
export function repeatability(): KeySource {
  return {
    description: `header ${REPEATABILITY.id}`,
    readsOnlyHead: true,
    coversContent: false,
    foundIn: ['http'],
    sentIn: [
      {
        in: 'header',
        name: REPEATABILITY.id,
        description:
          'Names the operation. Send a new one with each operation, and the same one with every retry.',
      },
      {
        in: 'header',
        name: REPEATABILITY.firstSent,
        description:
          'When the operation was sent for the first time, as an HTTP date. The same with every retry.',
      },
    ],
    statuses: { IDEMPOTENCY_KEY_REUSED: 400 },
    result: { header: REPEATABILITY.result, accepted: 'accepted', refused: 'rejected' },
    read(call) {
      const id = lineOf(call, ID, REPEATABILITY.id);
      const sentAt = sentAtOf(call);
      const client = lineOf(call, CLIENT, REPEATABILITY.client);
      if (id === undefined && sentAt === undefined) return undefined;
      if (id === undefined || sentAt === undefined)
        throw new InvalidKeyError(
          `Send ${REPEATABILITY.id} and ${REPEATABILITY.firstSent} together: one of the two is missing.`,
        );
      // Neither has a space, so that no other two give the same key.
      return client === undefined ? id : `${id} ${client}`;
    },
    sentAt: sentAtOf,
  };
}

function lineOf({ request }: IdempotentCall, name: string, shown: string): string | undefined {
  const found = request.headers[name];
  if (found === undefined) return undefined;
  // Node joins repeated lines with a comma and a space.
  const text = typeof found === 'string' ? parseKeyHeader(found, `header ${shown}`) : ' ';
  if (!text.includes(' ')) return text;
  throw new InvalidKeyError(`The header ${shown} must be one value without spaces.`);
}

/** The preferred form of an HTTP date (RFC 9110, section 5.6.7), which is what JavaScript writes. */
function sentAtOf({ request }: IdempotentCall): number | undefined {
  const text = request.headers[FIRST_SENT];
  if (text === undefined) return undefined;
  const time = typeof text === 'string' ? Date.parse(text) : NaN;
  if (!Number.isNaN(time) && new Date(time).toUTCString() === text) return time;
  throw new InvalidKeyError(
    `The header ${REPEATABILITY.firstSent} must be an HTTP date such as Tue, 01 Dec 2026 10:00:00 GMT.`,
  );
}
