/**
 * The bundled program, and what V8 made of it when it was built: with that, a start has next to nothing to compile.
 *
 * Code is used only by the very Node that made it, and only with the text it was made of: V8 itself looks at neither closely enough. It takes the code of another
 * 20.x than its own, and dies of it, as it dies of a damaged file; of the text it looks at the length alone.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { Script } from 'node:vm';
import { crc32 } from 'node:zlib';

/** How the text of a bundle begins. */
const BUILD = /\/\* build ([0-9a-f]{40}) \*\//;
const HEAD_CHARACTERS = 200;
/** The name in the lines of an error; the code holds it, so it is the same wherever the program lies. */
const FILENAME = 'dist/program/main.cjs';
const KEY_BYTES = 20;
const CHECKSUM_BYTES = 4;

export class Bundle {
  #path;
  #key;
  #script;

  /** @param path of a file that holds one function, which takes `require`, `module` and its own path. */
  constructor(path) {
    this.#path = path;
    // The bundler writes nothing beyond ASCII. As such a text V8 takes the bytes as they are and leaves them outside of its heap.
    const source = readFileSync(path, 'latin1');
    this.#key = keyOf(source);
    this.#script = new Script(source, { filename: FILENAME, cachedData: readCode(codePath(path), this.#key) });
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
    const code = this.#script.createCachedData();
    const head = Buffer.alloc(KEY_BYTES + CHECKSUM_BYTES);
    this.#key.copy(head);
    head.writeUInt32BE(crc32(code), KEY_BYTES);
    return Buffer.concat([head, code]);
  }
}

/** Where the code of a bundle is kept. */
export function codePath(path) {
  return `${path}.code`;
}

/** Of this Node and this text. */
function keyOf(source) {
  const build = BUILD.exec(source.slice(0, HEAD_CHARACTERS))?.[1] ?? '';
  const { versions, arch, platform, config } = process;
  return createHash('sha1')
    .update(JSON.stringify([build, versions, arch, platform, config]))
    .digest();
}

/** Undefined when there is none that can be used: it is a matter of speed alone. */
function readCode(path, key) {
  try {
    const bytes = readFileSync(path);
    const code = bytes.subarray(KEY_BYTES + CHECKSUM_BYTES);
    const isOurs = key.equals(bytes.subarray(0, KEY_BYTES)) && crc32(code) === bytes.readUInt32BE(KEY_BYTES);
    return isOurs ? code : undefined;
  } catch {
    return undefined;
  }
}
