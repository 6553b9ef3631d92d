const names = [];
globalThis.spanNames = () => names;

/** Nothing leaves the process: a transport that throws everything away. */
exports.optionsFor = () => ({
  dsn: 'https://public@127.0.0.1/1',
  transport: () => ({ send: async () => ({}), flush: async () => true }),
  beforeSendTransaction(transaction) {
    names.push(transaction.transaction, ...transaction.spans.map(({ description }) => description));
    return transaction;
  },
  ...(process.env.TRACING === 'true' && { tracesSampleRate: 1 }),
});
