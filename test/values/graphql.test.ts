import { describeGraphql } from './graphql.js';

describe('what a client gets of a value on Apollo', () => {
  describeGraphql('Apollo');
});
