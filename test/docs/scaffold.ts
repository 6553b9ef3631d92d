/** What `nest new` makes, as far as the files that the documents show import it. */
export const SCAFFOLD = {
  'src/app.controller.ts': `import { Controller } from '@nestjs/common';
@Controller()
export class AppController {}`,
  'src/app.service.ts': 'export class AppService {}',
};

/** Types of what the scaffold has installed and this project has not. */
export const SCAFFOLD_TYPES = `declare module 'supertest' {
  interface Test extends Promise<{ readonly text: string }> {
    set(header: string, value: string): this;
    send(body: object): this;
    expect(status: number): this;
    expect(header: string, value: string): this;
  }
  export default function request(server: unknown): { post(path: string): Test };
}
declare module 'supertest/types.js' {
  export type App = unknown;
}`;
