import { jest } from '@jest/globals';
import { PATIENCE_MS } from './support/browser.js';
import { describeLooks } from './support/page-looks.js';

jest.setTimeout(PATIENCE_MS);

// The smallest size; the others, and both schemes of colours, in the second tier.
describeLooks('a phone, dark');
