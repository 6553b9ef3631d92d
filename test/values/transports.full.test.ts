import { Rabbit } from '../messages/support/rabbitmq.js';
import { describeGraphql } from './graphql.js';
import { describeInProcess } from './in-process.js';
import { KINDS, LIBRARIES } from './kinds.js';
import { describeMessages, startCourier } from './messages.js';
import { MONGOOSE_KINDS } from './mongoose-kinds.js';

describeInProcess(MONGOOSE_KINDS);

describe('what a client gets over RabbitMQ', () => {
  let rabbit: Rabbit;

  beforeAll(async () => {
    rabbit = await Rabbit.start();
  });

  afterAll(() => rabbit?.stop());

  const libraries = LIBRARIES.map(([name, make]) => ({ name, make, outcome: 'equal' as const }));
  describeMessages([...KINDS, ...libraries, ...MONGOOSE_KINDS], async (kinds) => {
    const queue = await rabbit.queue();
    return startCourier(kinds, queue.transport({ noAck: true }), queue.producer());
  });
});

describe('what a client gets of a value on Mercurius', () => {
  describeGraphql('Mercurius');
});
