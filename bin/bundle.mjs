/**
 * The bundled program, and what V8 made of it when it was built: with that, a start has next to nothing to compile.
 *
 * V8 knows by its version and its flags whether it can use what is kept; if not, it compiles as ever. It does not look at the text, so what is kept has to be
 * younger than the bundle.
 */
import { readFileSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { constants, Script } from 'node:vm';

export class Bundle {
  #path;
  #script;

  /** @param path of a file that holds one function, which takes `require`, `module` and its own path. */
  constructor(path) {
    this.#path = path;
    // The bundler writes nothing beyond ASCII. As such a text V8 takes the bytes as they are and leaves them outside of its heap.
    const source = readFileSync(path, 'latin1');
    const importModuleDynamically = constants.USE_MAIN_CONTEXT_DEFAULT_LOADER;
    this.#script = new Script(source, { filename: path, cachedData: readCode(path), importModuleDynamically });
  }

  /** Whether what was kept could be used. */
  get isCompiled() {
    return this.#script.cachedDataRejected === false;
  }

  run() {
    this.#script.runInThisContext()(createRequire(this.#path), { exports: {} }, this.#path);
  }

  /** What V8 has made of it by now, for `codePath`. */
  code() {
    return this.#script.createCachedData();
  }
}

/** Where the code of a bundle is kept. */
export function codePath(path) {
  return `${path}.code`;
}

function readCode(path) {
  try {
    return statSync(codePath(path)).mtimeMs >= statSync(path).mtimeMs ? readFileSync(codePath(path)) : undefined;
  } catch {
    // It is a matter of speed alone.
    return undefined;
  }
}
