import { jest } from '@jest/globals';
import { PATIENCE_MS } from './support/browser.js';
import { describeLooks } from './support/page-looks.js';

jest.setTimeout(PATIENCE_MS);

describeLooks('a desktop, dark', 'a phone, light');
