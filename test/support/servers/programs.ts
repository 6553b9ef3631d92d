import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/** The folders of the PATH. */
export function pathFolders(): string[] {
  return (process.env.PATH ?? '').split(delimiter);
}

/** The first of these folders' programs with this name. */
export function programIn(folders: readonly string[], name: string): string {
  const found = folders.map((folder) => join(folder, name)).find((file) => existsSync(file));
  if (found === undefined) throw new Error(`${name} was not found: install it.`);
  return found;
}
