/** What the log promises, seen from outside: a child process logs, and its output is read as anybody would read it. */
import { spawnSync } from 'node:child_process';
import { test } from 'uvu';
import * as assert from 'uvu/assert';

const LOGGER = new URL('../../src/io/logger.js', import.meta.url).href;
const SECRET = 'Zx9-geheim_42';

function logged(script: string, options: string): { readonly stdout: string; readonly stderr: string } {
  const source = `import { createLogger } from '${LOGGER}'; const S = '${SECRET}'; const log = createLogger(${options});\n${script}`;
  const { stdout, stderr, status } = spawnSync(process.execPath, ['--input-type=module', '-e', source], {
    encoding: 'utf8',
    timeout: 20_000,
  });
  assert.is(status, 0, stderr);
  return { stdout, stderr };
}

function lines(text: string): Record<string, unknown>[] {
  return text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
}

const JSON_DEBUG = "{ level: 'debug', format: 'json' }";

test('each event is one line of JSON on standard error, with level, time and fields', () => {
  const { stdout, stderr } = logged("log.child({ channel: 'news' }).info('up', { portCount: 3 }); log.debug('two\\nlines');", JSON_DEBUG);
  assert.is(stdout, '');
  const [first, second] = lines(stderr);
  assert.match(String(first?.['time']), /^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
  assert.equal({ ...first, time: 0 }, { level: 'info', time: 0, channel: 'news', portCount: 3, msg: 'up' });
  assert.is(second?.['msg'], 'two lines');
});

test('a line below the level is not written', () => {
  const { stderr } = logged("log.info('no'); log.warn('yes'); log.error('yes');", "{ level: 'warn', format: 'json' }");
  assert.is(lines(stderr).length, 2);
  assert.is(logged("log.error('no');", "{ level: 'silent', format: 'json' }").stderr, '');
});

test('what is not a terminal gets JSON when the format is automatic', () => {
  assert.is(lines(logged("log.info('x');", "{ level: 'info', format: 'auto' }").stderr).length, 1);
});

const LEAKS = `
  log.info('publish to rtmp://h/live/news?key=' + S + '&x=1');
  log.info('x', { key: S, streamKey: S, secret: S, token: S, password: S, ownerSeed: S, secretKey: S, authorization: S });
  log.info('x', { deep: { list: [{ key: S }, 'a?token=' + S] }, map: new Map([['token', S]]), set: new Set(['?key=' + S]) });
  log.info('x', { address: 'http://me:' + S + '@host/', more: 'a;SECRET=' + S, upper: '?KEY=' + S });
  log.warn('x', { error: Object.assign(new Error('?key=' + S, { cause: new Error('&key=' + S) }), { token: S, data: { url: '?key=' + S } }) });
  log.child({ streamKey: S, url: '?key=' + S }).error('x', { bytes: Buffer.from(S) });
`;

test('no secret reaches a line, however deep it lies or however it is dressed', () => {
  for (const format of ['json', 'pretty']) {
    const { stderr } = logged(LEAKS, `{ level: 'debug', format: '${format}' }`);
    assert.not.match(stderr, SECRET);
    assert.match(stderr, '?key=[redacted]&x=1');
    assert.match(stderr, '[redacted]@host');
  }
});

test('what is not secret stays readable', () => {
  const script = "log.info('x', { publicKey: 'ab', keyFrames: 2, bytes: new Uint8Array(9), big: 5n, error: new TypeError('bad') });";
  const [line] = lines(logged(script, JSON_DEBUG).stderr);
  assert.is(line?.['publicKey'], 'ab');
  assert.is(line?.['keyFrames'], 2);
  assert.is(line?.['bytes'], '9 bytes');
  assert.is(line?.['big'], '5');
  assert.equal({ ...(line?.['error'] as object), stack: 0 }, { name: 'TypeError', message: 'bad', stack: 0 });
});

test('text from outside cannot steer a terminal or begin a line of its own', () => {
  const script = "log.info('\\u001b[2Jhello\\r\\n{\"level\":\"error\"}', { app: '\\u001b]0;title\\u0007', ['\\u001b[31m']: 1 });";
  const { stderr } = logged(script, "{ level: 'info', format: 'pretty' }");
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what must not be there.
  assert.not.match(stderr, /[\u001b\u0007\r]/);
  assert.is(stderr.trimEnd().split('\n').length, 1);
});

test('a value without end is cut, and a circle is no trap', () => {
  const script = "const o = { list: Array(10000).fill(1) }; o.self = o; o.set = new Set([o]); log.info('y'.repeat(1e6), { o });";
  const { stderr } = logged(script, JSON_DEBUG);
  assert.ok(stderr.length < 60_000, `${stderr.length} characters`);
  assert.is(lines(stderr).length, 1);
});

test('the last line before an exit is written', () => {
  assert.is(lines(logged("for (let i = 0; i < 500; i++) log.info('line', { i }); process.exit(0);", JSON_DEBUG).stderr).length, 500);
});

test.run();
