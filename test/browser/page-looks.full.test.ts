import { jest } from '@jest/globals';
import { PATIENCE_MS } from './support/browser.js';
import { describeLooks } from './support/page-looks.js';

jest.setTimeout(PATIENCE_MS);

// Both sizes and both schemes of colours.
describeLooks('a desktop, light', 'a phone, dark', 'a desktop, dark', 'a phone, light');
