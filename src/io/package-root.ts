/** Where the program's own files lie that are no code: its defaults, the scenarios of the simulator, the web page. */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const require = createRequire(import.meta.url);

/** The folder of package.json: the nearest one above this file, which lies elsewhere once it is bundled. */
export const PACKAGE_ROOT: URL = rootAbove(new URL('./', import.meta.url));

/** A file of another package, by what would be imported: a package manager may put it above this one. */
export function fileOfPackage(specifier: string): URL {
  return pathToFileURL(require.resolve(specifier));
}

function rootAbove(folder: URL): URL {
  const above = new URL('../', folder);
  return above.href === folder.href || existsSync(new URL('package.json', folder)) ? folder : rootAbove(above);
}
