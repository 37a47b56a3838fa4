/** How a process ends, with real processes and real signals. */
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Program } from '../support/program.js';
import { until } from '../support/until.js';

const MODULE = fileURLToPath(new URL('../../src/io/process-life.js', import.meta.url));

/** A process that says "up" and carries out `body` with `life` and a log that writes to standard output. */
async function start(body: string): Promise<Program> {
  const text = `
    import { ProcessLife } from ${JSON.stringify(MODULE)};
    const say = (line) => process.stdout.write(line + '\\n');
    const log = { error: (message, { error }) => say('log ' + message + ' ' + error.split('\\n')[0]) };
    const life = new ProcessLife(log);
    const alive = setInterval(() => {}, 1000);
    ${body}
    say('up');`;
  const program = new Program(process.execPath, ['--input-type=module', '-e', text]);
  await until('it is up', () => program.output.includes('up\n') || program.exit !== undefined);
  return program;
}

async function codeOf(program: Program): Promise<number | null> {
  await program.whenExited(8_000);
  return program.exit?.code ?? null;
}

test('a signal stops what is carried, then the process ends with 0', async () => {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    const program = await start("life.carry({ stop: async () => say('stopped') });");
    program.signal(signal);
    assert.is(await codeOf(program), 0);
    assert.match(program.output, /stopped/);
  }
});

test('before there is anything to stop, a signal ends the process too, and whoever asks sees it coming', async () => {
  const program = await start("life.signal.addEventListener('abort', () => say('ending'));");
  program.signal('SIGINT');
  assert.is(await codeOf(program), 0);
  assert.match(program.output, /ending/);
});

test('what comes up after the signal is stopped as well', async () => {
  const body = `process.on('SIGINT', () => say(String(life.carry({ stop: async () => say('stopped') }))));`;
  const program = await start(body);
  program.signal('SIGINT');
  assert.is(await codeOf(program), 0);
  assert.match(program.output, /stopped\nfalse/);
});

test('what a signal breaks off is said, and the code is 1; when nothing is left to do it is 0', async () => {
  const broken = await start("life.carry({ stop: async () => {} }); life.whenStopped(() => 'Stopped: half of it is here.');");
  broken.signal('SIGINT');
  assert.is(await codeOf(broken), 1);
  assert.is(broken.errors, 'shoal: Stopped: half of it is here.\n');
  const whole = await start('life.carry({ stop: async () => {} }); life.whenStopped(() => undefined);');
  whole.signal('SIGINT');
  assert.is(await codeOf(whole), 0);
  assert.is(whole.errors, '');
});

test('who ends by itself ends with the code it gives, and stops first', async () => {
  const program = await start("life.carry({ stop: async () => say('stopped') }); setTimeout(() => life.end(7), 50);");
  assert.is(await codeOf(program), 7);
  assert.match(program.output, /stopped/);
});

test('a second signal ends at once with 130; one that comes right behind the first is the same one', async () => {
  const program = await start("life.carry({ stop: () => { say('stopping'); return new Promise(() => {}); } });");
  program.signal('SIGINT');
  await until('it stops', () => program.output.includes('stopping'));
  program.signal('SIGINT');
  const again = setInterval(() => program.signal('SIGINT'), 100);
  assert.is(await codeOf(program), 130);
  clearInterval(again);
});

test('a stop that hangs is cut short, and the code is 1', async () => {
  const program = await start('life.carry({ stop: () => new Promise(() => {}) });');
  program.signal('SIGTERM');
  assert.is(await codeOf(program), 1);
});

test('an error that nobody caught is logged and ends nothing', async () => {
  const body = "life.carry({ stop: async () => {} }); setImmediate(() => { throw new Error('ours'); }); Promise.reject(new Error('too'));";
  const program = await start(body);
  await until('both are logged', () => /Error: ours/.test(program.output) && /Error: too/.test(program.output));
  program.signal('SIGINT');
  assert.is(await codeOf(program), 0);
});

test.run();
