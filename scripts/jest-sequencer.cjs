const { default: Sequencer } = require('@jest/test-sequencer');

/** Puts the slow files (they pack and install the library) behind all others. */
const last = (path) => (/[\\/]test[\\/](package|consumers)[\\/]/.test(path) ? 1 : 0);

module.exports = class extends Sequencer {
  async sort(tests) {
    const sorted = await super.sort(tests);
    return [...sorted].sort((a, b) => last(a.path) - last(b.path));
  }
};
