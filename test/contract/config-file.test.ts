/** Which configuration file is read, and what is said about one that cannot be. */
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { readConfigFile, readConfigFiles } from '../../src/io/files/config-file.js';
import { type ErrorCode, ShoalError } from '../../src/kernel/errors.js';
import { resolveConfig } from '../../src/plugins/config.js';

const test = suite<{ dir: string }>('config file');

function put(path: string, text: string): string {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
  return path;
}

function refusal(call: () => unknown, code: ErrorCode): string {
  try {
    call();
  } catch (error) {
    assert.instance(error, ShoalError);
    assert.is((error as ShoalError).code, code);
    return (error as ShoalError).message;
  }
  throw new Error('expected a refusal');
}

test.before.each((context) => {
  context.dir = mkdtempSync(join(tmpdir(), 'shoal-config-'));
});
test.after.each(({ dir }) => rmSync(dir, { recursive: true }));

test('a named file goes before the one in the current folder, and that before the one at home', ({ dir }) => {
  const places = { currentDir: join(dir, 'here'), configHome: join(dir, 'home') };
  assert.is(readConfigFiles(places).file, undefined);
  put(join(dir, 'home', 'shoal', 'shoal.json5'), '{ dataDir: "home" }');
  assert.equal(readConfigFiles(places).file?.value, { dataDir: 'home' });
  put(join(dir, 'here', 'config', 'shoal.json5'), '{ dataDir: "here" }');
  assert.equal(readConfigFiles(places).file?.value, { dataDir: 'here' });
  const file = put(join(dir, 'named.json5'), '{ dataDir: "named" }');
  assert.equal(readConfigFiles({ ...places, file }).file?.value, { dataDir: 'named' });
});

test('a named file that is not there is an error, not the defaults', ({ dir }) => {
  const file = join(dir, 'nowhere.json5');
  assert.match(
    refusal(() => readConfigFiles({ file, currentDir: '/' }), 'CONFIG_UNREADABLE'),
    'nowhere.json5: there is no such file',
  );
});

test('a folder in the place of a file is an error a person understands', ({ dir }) => {
  assert.match(
    refusal(() => readConfigFile(dir), 'CONFIG_UNREADABLE'),
    'it cannot be read (EISDIR)',
  );
});

test('a slip of the pen is told with file, line and column', ({ dir }) => {
  const path = put(join(dir, 'bad.json5'), '{\n  log: { level: "info" \n  swarm: {} }\n');
  assert.match(
    refusal(() => readConfigFile(path, 'bad.json5'), 'CONFIG_SYNTAX'),
    /^bad\.json5: not valid JSON5: .* at 3:3$/,
  );
});

test('each key is found on its line, past comments, strings and lists', ({ dir }) => {
  const text = [
    '// log: { level: 1 }',
    '{',
    '  /* relay:',
    '     { */ "log": { level: \'a:{b\', // format: 2',
    '    format: "x\\"y: {" },',
    '  station: { channels: [',
    '    { name: "A: b" }, { name: "C",',
    '      key: "k" } ],',
    "    'testCard': true },",
    '  dataDir: "//x", }',
  ].join('\n');
  const { lines } = readConfigFile(put(join(dir, 'c.json5'), text));
  assert.equal(Object.fromEntries(lines), {
    log: 4,
    'log.level': 4,
    'log.format': 5,
    station: 6,
    'station.channels': 6,
    'station.channels.0.name': 7,
    'station.channels.1.name': 7,
    'station.channels.1.key': 8,
    'station.testCard': 9,
    dataDir: 10,
  });
});

test('a wrong key in a real file is told with its line', ({ dir }) => {
  put(join(dir, 'config', 'shoal.json5'), '{\n  relay: {\n    // mine\n    htpp: { port: 1 },\n  },\n}\n');
  const message = refusal(() => resolveConfig(readConfigFiles({ currentDir: dir })), 'CONFIG_UNKNOWN_KEY');
  assert.is(message, `${join('config', 'shoal.json5')}:4: unknown key "relay.htpp", nearest known key is "relay.http"`);
});

test('a file says whether others can read it, since it may hold stream keys', ({ dir }) => {
  const file = put(join(dir, 'keys.json5'), '{}');
  chmodSync(file, 0o644);
  assert.is(readConfigFile(file).isReadableByOthers, true);
  chmodSync(file, 0o600);
  assert.is(readConfigFile(file).isReadableByOthers, false);
});

test.run();
