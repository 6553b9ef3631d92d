import { jest } from '@jest/globals';
import { PATIENCE_MS } from './support/browser.js';
import { OpenPage } from './support/open-page.js';
import { playScenarios } from './support/played-scenarios.js';

jest.setTimeout(PATIENCE_MS);

describe('the page of the shop, with the keyboard', () => {
  playScenarios(OpenPage.forEach(), 'keyboard');
});
