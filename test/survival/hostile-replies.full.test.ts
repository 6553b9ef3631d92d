import { describeHostileReplies } from './support/hostile-replies.js';

describeHostileReplies('in a transaction', 'later', 'in Redis', 'in PostgreSQL');
