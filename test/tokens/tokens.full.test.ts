import { CASES } from './support/token-shop.js';
import { describeTokens } from './tokens.js';

describeTokens(CASES);
