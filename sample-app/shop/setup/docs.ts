import type { INestApplication } from '@nestjs/common';
import { DocumentBuilder, SwaggerModule } from '@nestjs/swagger';
import { createIdempotentDocument } from 'nestjs-idempotency/swagger';

/** Serves the description of the API: a page at `/docs`, and OpenAPI at `/docs-json`. */
export function serveDocs(app: INestApplication): void {
  const config = new DocumentBuilder()
    .setTitle('The shop')
    .setDescription('One endpoint for every situation in which a repeat must be safe.')
    .setVersion('1.0')
    .addBearerAuth({
      type: 'http',
      bearerFormat: 'a name',
      description: 'Any name works: `Bearer alice` signs in as alice.',
    })
    // Either: without the header, the caller is anonymous.
    .addSecurityRequirements({})
    .addSecurityRequirements('bearer')
    .build();
  SwaggerModule.setup('docs', app, () => createIdempotentDocument(app, config));
}
