import { CASES } from './support/token-shop.js';
import { describeTokens } from './tokens.js';

// Both kinds of tokens, and both platforms: what a token is, no platform knows.
describeTokens(CASES.filter(({ platform, mode }) => platform === 'express' || mode === 'stored'));
