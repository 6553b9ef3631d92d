import { describeForms } from './support/forms.js';

/** One for each way in which a browser sends an order again; the others in the second tier. */
const FIRST = new RegExp(
  [
    'S14: a double click orders once',
    'a reload while pending, with',
    'as it was left',
    'offline',
    'killed and restarted',
    'after an answer',
    'with json',
    'tells everybody that it is busy',
    'since the form was shown',
    'when the server fails',
    'goes on after a reload',
  ].join('|'),
);

describeForms((name) => FIRST.test(name));
