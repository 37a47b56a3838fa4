/** The configuration's rules: which layer wins, which keys and values are refused and how, and how variables are named. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { readConfigFiles } from '../../../src/io/files/config-file.js';
import { ShoalError } from '../../../src/kernel/errors.js';
import { CONFIG_OPTIONS, type ConfigSources, resolveConfig, variableOf } from '../../../src/plugins/config.js';

const { defaults } = readConfigFiles({ currentDir: '/nonexistent', configHome: '/nonexistent' });

function resolve(sources: Partial<ConfigSources>) {
  return resolveConfig({ defaults, ...sources });
}

function refusal(sources: Partial<ConfigSources>): ShoalError {
  try {
    resolve(sources);
  } catch (error) {
    assert.instance(error, ShoalError);
    return error as ShoalError;
  }
  assert.unreachable('expected a refusal');
  throw new Error();
}

function file(value: unknown): Partial<ConfigSources> {
  return { file: { name: 'config/shoal.json5', value } };
}

test('the defaults alone are a valid configuration', () => {
  const { config, explicitKeys } = resolve({});
  assert.is(config.relay.http.port, 8080);
  assert.is(explicitKeys.size, 0);
});

test('each layer goes before the one below it', () => {
  const layers = [
    file({ relay: { http: { port: 1 } } }),
    { environment: { SHOAL_RELAY_HTTP_PORT: '2' } },
    { settings: ['relay.http.port=3', 'relay.http.port=4'] },
  ];
  const ports = layers.map((_, count) => resolve(Object.assign({}, ...layers.slice(0, count + 1))).config.relay.http.port);
  assert.equal(ports, [1, 2, 4]);
});

test('a layer changes only what it names', () => {
  const { config, explicitKeys } = resolve(file({ relay: { http: { port: 0 } } }));
  assert.is(config.relay.http.host, '127.0.0.1');
  assert.equal([...explicitKeys], ['relay.http.port']);
});

test('explicit keys are those of every layer but the defaults', () => {
  const sources = { ...file({ dataDir: 'x' }), environment: { SHOAL_LIVE_HEDGE: '3' }, settings: ['swarm.port=0'] };
  assert.equal([...resolve(sources).explicitKeys].sort(), ['dataDir', 'live.hedge', 'swarm.port']);
});

test('an unknown key is refused with the nearest known one', () => {
  const error = refusal(file({ relay: { htpp: { port: 0 } } }));
  assert.is(error.code, 'CONFIG_UNKNOWN_KEY');
  assert.is(error.message, 'config/shoal.json5: unknown key "relay.htpp", nearest known key is "relay.http"');
});

test('a right word in the wrong group is pointed to its group', () => {
  assert.match(refusal(file({ windowMs: 500 })).message, 'nearest known key is "live.windowMs"');
});

test('an unknown field of a channel is refused with its place', () => {
  const error = refusal(file({ station: { channels: [{ name: 'News' }, { name: 'Sport', contaner: 'flv' }] } }));
  assert.match(error.message, 'unknown key "station.channels[1].contaner", nearest known key is "station.channels[].container"');
});

test('a key named __proto__ is only an unknown key', () => {
  assert.match(refusal(file(JSON.parse('{"__proto__": {"x": 1}}'))).message, 'unknown key "__proto__"');
  assert.match(refusal({ settings: ['__proto__.x=1'] }).message, 'unknown key "__proto__"');
  assert.is(({} as { x?: number }).x, undefined);
});

test('a value out of range is refused with the range', () => {
  const error = refusal(file({ relay: { http: { port: 70_000 } } }));
  assert.is(error.code, 'CONFIG_RANGE');
  assert.is(error.message, 'config/shoal.json5: relay.http.port: expected 0 to 65535, got 70000');
});

test('a value of the wrong kind is refused, whatever the kind', () => {
  const cases: [unknown, string][] = [
    [{ relay: 5 }, 'relay: expected a group of options in braces, got 5'],
    [{ live: { hedge: '2' } }, 'live.hedge: expected a whole number, 1 to 8, or "all", got "2"'],
    [{ live: { hedge: 1.5 } }, 'live.hedge: expected a whole number, 1 to 8, or "all", got 1.5'],
    [{ station: { testCard: 1 } }, 'station.testCard: expected true or false, got 1'],
    [{ log: { level: 'loud' } }, 'log.level: expected "debug", "info", "warn", "error" or "silent", got "loud"'],
    [{ tracker: { announce: 'http://a' } }, 'tracker.announce: expected a list of URLs, got "http://a"'],
    [{ tracker: { announce: ['ws://a'] } }, 'tracker.announce[0]: expected an http:, https: or udp: URL, got "ws://a"'],
    [{ station: { channels: [{}] } }, 'station.channels[0].name: expected 1 to 80 characters, got nothing'],
    [{ live: { waitMinMs: 900, waitMaxMs: 800 } }, 'live.waitMinMs: expected at most live.waitMaxMs, got 900'],
    [[], 'the configuration: expected a group of options in braces, got []'],
    [null, 'the configuration: expected a group of options in braces, got null'],
  ];
  for (const [value, sentence] of cases) assert.is(refusal(file(value)).message, `config/shoal.json5: ${sentence}`);
});

test('a refused stream key is not repeated in the message', () => {
  const { message } = refusal(file({ station: { channels: [{ name: 'News', key: 'geheim!' }] } }));
  assert.is(message, 'config/shoal.json5: station.channels[0].key: expected 8 to 128 letters, digits, or any of -._~, got 7 characters');
  const long = `rtmp://h/a/b?geheim=${'x'.repeat(3000)}`;
  for (const [field, most] of [
    ['source', 1024],
    ['pull', 2048],
  ] as const) {
    const tooLong = refusal(file({ station: { channels: [{ name: 'News', [field]: long }] } }));
    assert.is(
      tooLong.message,
      `config/shoal.json5: station.channels[0].${field}: expected 1 to ${most} characters, got ${long.length} characters`,
    );
  }
});

test('all problems of a file are told at once, with their lines where they are known', () => {
  const lines = new Map([['relay.htpp', 3]]);
  const value = { relay: { htpp: 1, http: { port: -1 } }, swarm: { port: 'x' } };
  const { message, data } = refusal({ file: { name: 'f.json5', value, lines } });
  assert.is((data['problems'] as string[]).length, 3);
  assert.match(message, 'f.json5:3: unknown key "relay.htpp"');
  assert.match(message, 'f.json5: relay.http.port: expected 0 to 65535, got -1');
  assert.match(message, 'f.json5: swarm.port: expected a whole number, 0 to 65535, got "x"');
});

test("an unknown variable is refused with the nearest known one, and other programs' variables are left alone", () => {
  const error = refusal({ environment: { SHOAL_RELAY_HTPP_PORT: '0', PATH: '/bin' } });
  assert.is(error.code, 'CONFIG_UNKNOWN_KEY');
  assert.is(error.message, 'environment: unknown variable "SHOAL_RELAY_HTPP_PORT", nearest known variable is "SHOAL_RELAY_HTTP_PORT"');
});

test('every key has a variable of its own, and its variable sets that key alone', () => {
  assert.is(new Set(CONFIG_OPTIONS.map(({ variable }) => variable)).size, CONFIG_OPTIONS.length);
  assert.is(variableOf('live.windowMs'), 'SHOAL_LIVE_WINDOW_MS');
  const { config } = resolve({});
  for (const { key, variable } of CONFIG_OPTIONS) {
    const standard = key.split('.').reduce<unknown>((value, part) => (value as Record<string, unknown>)[part], config);
    const word = Array.isArray(standard) ? JSON.stringify(standard) : String(standard);
    assert.equal([...resolve({ environment: { [variable]: word } }).explicitKeys], [key]);
    assert.equal(resolve({ environment: { [variable]: word } }).config, config, key);
  }
});

test('words from outside are read in the kind of the option', () => {
  const settings = [
    'station.testCard=false',
    'live.hedge=3',
    'log.level=debug',
    'tracker.announce=http://a/announce, udp://b:6969',
    'relay.http.allowedHosts=',
    'station.channels=[{"name":"News"}]',
  ];
  const { config } = resolve({ settings });
  assert.is(config.station.testCard, false);
  assert.is(config.live.hedge, 3);
  assert.equal(config.tracker.announce, ['http://a/announce', 'udp://b:6969']);
  assert.equal(config.relay.http.allowedHosts, []);
  assert.equal(config.station.channels, [{ name: 'News' }]);
});

test('a word that does not fit is refused as it was written', () => {
  for (const word of ['', ' ', 'abc', 'Infinity', 'NaN']) {
    assert.match(refusal({ settings: [`live.hedge=${word}`] }).message, 'live.hedge: expected a whole number, 1 to 8, or "all", got ');
  }
  assert.match(refusal({ settings: ['station.testCard=yes'] }).message, 'expected true or false, got "yes"');
  assert.match(refusal({ settings: ['station.channels=[{'] }).message, 'expected a list of channels, got "[{"');
});

test('a setting without a value is refused with an example', () => {
  for (const setting of ['relay.http.port', '=5', '']) {
    const error = refusal({ settings: [setting] });
    assert.is(error.code, 'CONFIG_SYNTAX');
    assert.match(error.message, 'expected KEY=VALUE, as in relay.http.port=0');
  }
});

test('the result is frozen all the way down', () => {
  const { config } = resolve(file({ station: { channels: [{ name: 'News' }] } }));
  assert.throws(() => Object.assign(config.relay.http, { port: 1 }), TypeError);
  assert.throws(() => Object.assign(config.station.channels[0] ?? {}, { name: 'x' }), TypeError);
  assert.throws(() => (config.tracker.announce as string[]).push('x'), TypeError);
});

test.run();
