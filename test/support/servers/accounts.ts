import { readFileSync } from 'node:fs';

/** The first of these accounts that the machine has. */
export function accountOf(...names: string[]): { readonly uid: number; readonly gid: number } {
  const accounts = readFileSync('/etc/passwd', 'utf8').split('\n');
  for (const name of names) {
    const [, , uid, gid] = accounts.find((line) => line.startsWith(`${name}:`))?.split(':') ?? [];
    if (uid !== undefined && gid !== undefined) return { uid: Number(uid), gid: Number(gid) };
  }
  throw new Error(`None of these accounts exists: ${names.join(', ')}.`);
}
