import type { IncomingHttpHeaders } from 'node:http';

/** Who signed in. */
export interface User {
  readonly id: string;
}

/** The part of a request that the shop's guards and parameters read; the same on Express and Fastify. */
export interface ShopRequest {
  readonly headers: IncomingHttpHeaders;
  readonly url?: string;
  /** Absent for an anonymous caller. */
  user?: User;
}
