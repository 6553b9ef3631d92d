import {
  Body,
  Controller,
  Delete,
  Get,
  Headers,
  HttpCode,
  HttpStatus,
  Post,
  Res,
} from '@nestjs/common';
import { ApiExcludeController } from '@nestjs/swagger';
import { ProblemException } from '../../shop/common/problems/problems.js';
import { Worker, type WorkerState } from './worker.js';

/** What a request says that the worker has to know. */
const PASSED_ON = ['authorization', 'content-type', 'idempotency-key', 'x-request-id'];
/** What it answers that the client has to know. */
const PASSED_BACK = ['content-type', 'retry-after', 'idempotent-replayed'];

@ApiExcludeController()
@Controller('worker')
export class WorkerController {
  constructor(private readonly worker: Worker) {}

  @Get()
  state(): WorkerState {
    return this.worker.state;
  }

  @Post()
  @HttpCode(HttpStatus.OK)
  start(): Promise<WorkerState> {
    return this.worker.start();
  }

  @Delete()
  kill(): Promise<WorkerState> {
    return this.worker.kill();
  }

  /** Passes the request on, as a load balancer would. */
  @Post('slow')
  async slow(
    @Body() body: object,
    @Headers() headers: Readonly<Record<string, string | undefined>>,
    @Res({ passthrough: true }) response: Response,
  ): Promise<unknown> {
    const { url } = this.worker.state;
    if (url === undefined)
      throw new ProblemException(HttpStatus.SERVICE_UNAVAILABLE, 'No worker is running.');
    const passedOn = PASSED_ON.flatMap((name) => {
      const value = headers[name];
      return value === undefined ? [] : [[name, value] as [string, string]];
    });
    const reply = await fetch(new URL('/slow', url), {
      method: 'POST',
      headers: passedOn,
      body: JSON.stringify(body),
    }).catch(() => {
      throw new ProblemException(
        HttpStatus.BAD_GATEWAY,
        'The connection to the worker broke. Nobody knows how far it got.',
      );
    });
    response.status(reply.status);
    for (const name of PASSED_BACK) {
      const value = reply.headers.get(name);
      if (value !== null) response.header(name, value);
    }
    return reply.json();
  }
}

/** What the replies of Express and Fastify have in common. */
interface Response {
  status(code: number): unknown;
  header(name: string, value: string): unknown;
}
