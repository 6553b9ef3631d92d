import { asText, recordOf, type NamedSabotage } from './sabotage.js';

export const SABOTAGES_OF_CONTENTS: readonly NamedSabotage[] = [
  [
    'a mismatch tells the fingerprint of the one who asks',
    4,
    (store) => ({
      acquire: (request) => {
        const result = store.acquire(request);
        return result.outcome === 'mismatch'
          ? { ...result, fingerprint: request.fingerprint }
          : result;
      },
    }),
  ],
  [
    'replies are decoded as text',
    7,
    (store) => ({
      complete: (request) => store.complete({ ...request, reply: asText(request.reply) }),
    }),
  ],
  [
    'an empty reply is none',
    7,
    (store) => ({
      acquire: (request) => {
        const result = store.acquire(request);
        if (result.outcome !== 'completed' || result.reply.length > 0) return result;
        return { outcome: 'in-flight', leaseRemainingMs: 0 };
      },
    }),
  ],
  [
    "the reply is the caller's buffer",
    7,
    (store) => ({
      complete: (request) => {
        const answer = store.complete(request);
        const record = recordOf(store, request.id);
        if (answer && record) record.reply = request.reply;
        return answer;
      },
    }),
  ],
  [
    'steps are decoded as text',
    7,
    (store) => ({
      saveStep: (request) => store.saveStep({ ...request, value: asText(request.value) }),
    }),
  ],
  [
    'replies that look like JSON are written anew',
    7,
    (store) => ({
      complete: (request) => store.complete({ ...request, reply: asJson(request.reply) }),
    }),
  ],
  [
    'the buffer behind the reply is kept',
    7,
    (store) => ({
      complete: (request) =>
        store.complete({ ...request, reply: new Uint8Array(request.reply.buffer) }),
    }),
  ],
  [
    'the stored reply itself is given away',
    7,
    (store) => ({
      acquire: (request) => {
        const result = store.acquire(request);
        const reply = recordOf(store, request.id)?.reply;
        return result.outcome === 'completed' && reply ? { ...result, reply } : result;
      },
    }),
  ],
  [
    'ids are folded to lower case',
    8,
    (store) => ({
      acquire: (request) => store.acquire({ ...request, id: request.id.toLowerCase() }),
      find: (id) => store.find(id.toLowerCase()),
    }),
  ],
  [
    'ids are cut',
    8,
    (store) => ({
      acquire: (request) => store.acquire({ ...request, id: request.id.slice(0, 63) }),
      complete: (request) => store.complete({ ...request, id: request.id.slice(0, 63) }),
      find: (id) => store.find(id.slice(0, 63)),
    }),
  ],
  [
    'a NUL ends a text',
    8,
    (store) => ({
      hold: (request) =>
        store.hold({ ...request, reason: request.reason.split('\0')[0] as string }),
    }),
  ],
  [
    'names of steps are keys of a plain object',
    8,
    (store) => ({
      acquire: (request) => {
        const result = store.acquire(request);
        if (result.outcome !== 'acquired') return result;
        const plain: Record<string, Uint8Array> = {};
        for (const [name, value] of result.steps) plain[name] = value;
        return { ...result, steps: new Map(Object.entries(plain)) };
      },
    }),
  ],
];

function asJson(reply: Uint8Array): Uint8Array {
  try {
    return Buffer.from(JSON.stringify(JSON.parse(Buffer.from(reply).toString())));
  } catch {
    return reply;
  }
}
