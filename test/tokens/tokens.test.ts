import { CASES } from './support/token-shop.js';
import { describeTokens } from './tokens.js';

// Each mode, and each platform: what a token is, no platform knows.
describeTokens(
  CASES.filter(({ platform, mode }) => (platform === 'express') === (mode === 'stored')),
);
