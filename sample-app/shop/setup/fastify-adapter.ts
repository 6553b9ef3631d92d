import { FastifyAdapter } from '@nestjs/platform-fastify';

/**
 * Makes Fastify accept a request without a body like Express does, even if it has a content type.
 * By default it answers 400, but `POST /votes/:target` needs no body.
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
