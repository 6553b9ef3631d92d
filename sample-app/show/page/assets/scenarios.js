import { AT_ONCE } from './scenarios-at-once.js';
import { BROKEN } from './scenarios-broken.js';
import { IN_THE_BROWSER } from './scenarios-browser.js';
import { RETRIES } from './scenarios-retries.js';

/**
 * @typedef {object} Scenario
 * @property {string} id
 * @property {string} rows where it stands in the list of situations
 * @property {string} group
 * @property {string} title
 * @property {string} danger what goes wrong without protection
 * @property {string} code what protects it
 * @property {string} route the counter among the effects
 * @property {number} [pace] milliseconds that handlers take longer
 * @property {number} [settle] milliseconds of quiet after which nothing more is to come
 * @property {string} [unprotected] the bars of the same calls without protection; makes a switch for them
 * @property {boolean} [countsSuccesses] whether a handler that has refused does not count
 * @property {[sent: string, ran: string]} [words] what is counted, when it is not requests and executions
 * @property {boolean} [isNewEachTime] whether each press is about another subject
 * @property {string} [fresh] the button for another subject, where presses build on each other
 * @property {() => object | Promise<object>} [make] the subject: what all requests are about
 * @property {(subject: object, run: import('./run.js').Run) => Fact[] | Promise<Fact[]>} [facts]
 * @property {{ name: string, label: string, value: string }[]} [fields]
 * @property {Action[]} [actions]
 * @property {'form' | 'button'} [widget] made by the library's client, and not of actions
 */

/** @typedef {[term: string, value: string]} Fact */

/**
 * @typedef {object} Action
 * @property {string} label
 * @property {string} [hint]
 * @property {boolean} [isSentAgain] whether the second half of a double click is sent too
 * @property {(run: import('./run.js').Run, subject: any, fields: Record<string, string>) => unknown} act
 */

/** @type {Scenario[]} */
export const SCENARIOS = [...RETRIES, ...IN_THE_BROWSER, ...AT_ONCE, ...BROKEN];
