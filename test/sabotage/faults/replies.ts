import type { Fault } from '../fault.js';

const CODINGS = 'src/transports/http/content-coding.ts';
const HOOKS = 'src/transports/http/fastify-hooks.ts';
const RECORDER = 'src/transports/http/response-recorder.ts';
const REPLAYER = 'src/transports/http/replayer.ts';
const UNRECORDED = 'src/transports/http/unrecorded-headers.ts';
const coding = (name: string): [string, string] => ['test/http/content-coding.test.ts', name];
const hooks = (name: string): [string, string] => ['test/http/reply-hooks.test.ts', name];
const through = (name: string): [string, string] => [
  'test/http/streams-through.test.ts',
  `express ${name}`,
];
const trailers = (name: string): [string, string] => [
  'test/http/trailers.test.ts',
  `express ${name}`,
];

export const REPLY_FAULTS: readonly Fault[] = [
  {
    name: 'replies: no Accept-Encoding is taken for a wish',
    breaks: ['T66'],
    file: CODINGS,
    find: 'if (accepted === undefined || reply.body.length === 0) return reply;',
    put: 'if (reply.body.length === 0) return reply;\n  accepted ??= "";',
    tests: [coding('no preference')],
  },
  {
    name: 'replies: what nobody here can decode is sent as it is',
    breaks: ['T66'],
    file: CODINGS,
    find: 'if (decode === undefined) return notAcceptable(codings, NEWER.has(coding));',
    put: 'if (decode === undefined) return reply;',
    tests: [coding('never sent unreadable')],
  },
  {
    name: 'replies: a kept reply is unpacked without a limit',
    breaks: ['T97'],
    file: CODINGS,
    find: 'MOST_UNPACKED * maxResponseBytes',
    put: '2 ** 30',
    tests: [coding('far too large')],
  },
  {
    name: 'replies: a digest outlives the bytes that it was made over',
    breaks: ['T66'],
    file: CODINGS,
    find: "  'content-digest',\n",
    put: '',
    tests: [coding('loses what was made')],
  },
  {
    name: 'replies: a strong validator outlives the bytes that it names',
    breaks: ['T66'],
    file: CODINGS,
    find: 'return isStrong ? [name, `W/${String(value)}`] : field;',
    put: 'return isStrong ? [name, String(value)] : field;',
    tests: [coding('loses what was made')],
  },
  {
    name: 'replies: several codings are taken off in the order in which they were put on',
    breaks: ['T66'],
    file: CODINGS,
    find: 'codings.slice(kept).reverse()',
    put: 'codings.slice(kept)',
    tests: [coding('of br, gzip')],
  },
  {
    name: 'replies: hooks of Fastify do not run on replays',
    breaks: ['T67'],
    file: HOOKS,
    find: "return raw !== (response as unknown) && form !== 'raw' && hooked(request) !== undefined;",
    put: 'return raw === (response as unknown) && hooked(request) !== undefined;',
    tests: [hooks('fastify runs on a replay of json')],
  },
  {
    name: 'replies: what hooks of Fastify add is on record',
    breaks: ['T67'],
    file: HOOKS,
    find: '  recorder.made = made;\n',
    put: '',
    tests: [hooks('fastify runs on a replay of json')],
  },
  {
    name: 'replies: an error of a hook leaves as a replay',
    breaks: ['T67'],
    file: HOOKS,
    find: 'if (sent.isHandedOver) removeReplayed(reply, sent);',
    put: '',
    tests: [hooks('may fail on a replay')],
  },
  {
    name: 'replies: middleware of Express sets no header once a replay is sealed',
    breaks: ['T67'],
    file: REPLAYER,
    find: 'const isSending = sending.getStore() === this;',
    put: 'const isSending = this === undefined;',
    tests: [hooks('express runs on a replay of json')],
  },
  {
    name: 'replies: the rate limit of the first request is replayed',
    breaks: ['T67'],
    file: UNRECORDED,
    find: 'beginnings.some((beginning) => name.startsWith(beginning))',
    put: 'beginnings.includes(name)',
    tests: [['test/http/replies.test.ts', 'express are those of traces']],
  },
  {
    name: 'replies: trailers are not recorded',
    breaks: ['T67'],
    file: RECORDER,
    find: 'if (this.isCapturing) this.trailers = trailerFields(trailers);',
    put: '',
    tests: [trailers('that were announced')],
  },
  {
    name: 'replies: trailers of a reply in pieces are lost on the way',
    breaks: ['T67'],
    file: RECORDER,
    find: 'if (sendsTrailers) this.sendPieces();',
    put: '',
    tests: [trailers('that were not announced')],
  },
  {
    name: "replies: stream: 'through' holds the bytes back",
    breaks: ['design 3.3'],
    file: RECORDER,
    find: 'return this.options.streamsThrough || this.kept.isOver ? this.startStreaming() : true;',
    put: 'return this.kept.isOver ? this.startStreaming() : true;',
    tests: [through('of length ends only')],
  },
  {
    name: 'replies: a client that knows the length has the whole reply before it is on record',
    breaks: ['design 3.3'],
    file: 'src/transports/http/reply-bytes.ts',
    find: 'const isComplete = bytes.length >= this.left && bytes.length > 0;',
    put: 'const isComplete = this.left < 0;',
    tests: [through('of length ends only')],
  },
  {
    name: 'replies: a stream that is not the operation’s looks complete',
    breaks: ['design 3.3', 'S6'],
    file: RECORDER,
    find: "if (this.hasLeft) return void this.callOriginal('destroy', []);",
    put: 'if (this.hasLeft) return send();',
    tests: [through('never looks complete')],
  },
];
