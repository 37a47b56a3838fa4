/**
 * Finds and reads configuration files: JSON5 text in, a plain value with the line of each key out.
 *
 * The only place that imports json5. What the options mean, and whether a value is allowed, is `plugins/config.ts`.
 */
import { existsSync, readFileSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import JSON5 from 'json5';
import { ShoalError } from '../../kernel/errors.js';
import { PACKAGE_ROOT } from '../package-root.js';

/** A file's content. */
export interface ConfigFile {
  /** Path as a person would write it, for messages. */
  readonly name: string;
  readonly value: unknown;
  /** Others than the owner may read it: no place for stream keys. */
  readonly isReadableByOthers: boolean;
  /** 1-based line of each dotted key (`relay.http.port`, `station.channels.0.name`). */
  readonly lines: ReadonlyMap<string, number>;
}

/** Where to look for the user's file. */
export interface ConfigFilePlaces {
  /** The value of `--config`; must exist when given. */
  readonly file?: string | undefined;
  /** Current directory: `config/shoal.json5` below it is next. */
  readonly currentDir: string;
  /** `$XDG_CONFIG_HOME`, by default `~/.config`: `shoal/shoal.json5` below it is last. */
  readonly configHome?: string | undefined;
}

const DEFAULTS_PATH = fileURLToPath(new URL('config/default.json5', PACKAGE_ROOT));

/** Text that has a meaning for the line finder: comments, strings, signs, and runs of anything else. */
const TOKEN = /\/\/[^\n]*|\/\*[\s\S]*?\*\/|"(?:\\[\s\S]|[^"\\])*"|'(?:\\[\s\S]|[^'\\])*'|[{}[\]:,]|[^\s{}[\]:,"'/]+/g;

/**
 * The defaults that ship with the program, and the user's file if there is one.
 *
 * @throws ShoalError `CONFIG_UNREADABLE` or `CONFIG_SYNTAX`, naming the file (and the line and column of a syntax error).
 */
export function readConfigFiles(places: ConfigFilePlaces): { readonly defaults: ConfigFile; readonly file: ConfigFile | undefined } {
  const userPath = findUserFile(places);
  return {
    defaults: readConfigFile(DEFAULTS_PATH, 'config/default.json5'),
    file: userPath === undefined ? undefined : readConfigFile(userPath, nameOf(userPath, places.currentDir)),
  };
}

/**
 * Reads one file.
 *
 * @param name stands in messages instead of `path`.
 * @throws ShoalError `CONFIG_UNREADABLE` or `CONFIG_SYNTAX`.
 */
export function readConfigFile(path: string, name: string = path): ConfigFile {
  const text = readText(path, name);
  try {
    return { name, value: JSON5.parse(text), isReadableByOthers: (statSync(path).mode & 0o077) !== 0, lines: keyLines(text) };
  } catch (cause) {
    const detail = cause instanceof Error ? cause.message.replace('JSON5: ', '') : String(cause);
    throw new ShoalError('CONFIG_SYNTAX', `${name}: not valid JSON5: ${detail}`, { file: path }, { cause });
  }
}

function findUserFile({ file, currentDir, configHome }: ConfigFilePlaces): string | undefined {
  if (file !== undefined) return file;
  const candidates = [join(currentDir, 'config', 'shoal.json5'), join(configHome || join(homedir(), '.config'), 'shoal', 'shoal.json5')];
  return candidates.find((path) => existsSync(path));
}

function nameOf(path: string, currentDir: string): string {
  const near = relative(currentDir, path);
  return near.startsWith('..') ? path : near;
}

function readText(path: string, name: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code;
    const reason = code === 'ENOENT' ? 'there is no such file' : `it cannot be read (${code})`;
    throw new ShoalError('CONFIG_UNREADABLE', `configuration file ${name}: ${reason}`, { file: path }, { cause });
  }
}

/** The line of every key of a text that is known to be valid JSON5; json5 itself keeps no positions. */
function keyLines(text: string): Map<string, number> {
  const lines = new Map<string, number>();
  const path: (string | number)[] = [];
  let previous = '';
  let line = 1;
  let counted = 0;
  for (const { 0: token, index } of text.matchAll(TOKEN)) {
    if (token.startsWith('//') || token.startsWith('/*')) continue;
    if (token === '{') path.push('');
    else if (token === '[') path.push(0);
    else if (token === '}' || token === ']') path.pop();
    else if (token === ',' && typeof path.at(-1) === 'number') path.push(Number(path.pop()) + 1);
    else if (token === ':') {
      path[path.length - 1] = unquoted(previous);
      lines.set(path.join('.'), line);
    } else {
      line += newlines(text, counted, index);
      counted = index;
    }
    previous = token;
  }
  return lines;
}

function newlines(text: string, from: number, to: number): number {
  return text.slice(from, to).split('\n').length - 1;
}

function unquoted(token: string): string {
  return /^["']/.test(token) ? String(JSON5.parse(token)) : token;
}
