import { describeReconnection } from './support/reconnection.js';

describeReconnection('fastify');
