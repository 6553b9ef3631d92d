import { FastifyAdapter } from '@nestjs/platform-fastify';

/**
 * Fastify that takes a request without a body as Express does, also when it names a content
 * type. By itself it answers 400, and `POST /votes/:target` has nothing to put into a body.
 */
export function createFastifyAdapter(): FastifyAdapter {
  const adapter = new FastifyAdapter();
  adapter.getInstance().addHook('onRequest', (request, _reply, done) => {
    const { headers } = request;
    const isEmpty = headers['content-length'] === undefined || headers['content-length'] === '0';
    if (isEmpty && headers['transfer-encoding'] === undefined) delete headers['content-type'];
    done();
  });
  return adapter;
}
