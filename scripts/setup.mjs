/**
 * Makes a clone ready: locked dependencies, the build, and the programs Shoal works with.
 *
 * Idempotent, and fast when nothing changed: dependencies are compared with the lock file, the build with the sources' sizes and
 * times, programs by a look at PATH. Everything it says goes to standard error. Plain JavaScript, no packages: it runs before there are any.
 *
 * `node scripts/setup.mjs --for=build|start|test`: `build` stops after the build, `start` adds ffmpeg, `test` adds players and a browser.
 */
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { accessSync, constants, existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

export const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const BUILD_STAMP = join(ROOT, 'dist', '.shoal-build');
const INSTALL_STAMP = join(ROOT, '.shoal-setup');
/** After a failed install of programs, `start` does not try again for this long: the second start must be quick. */
const RETRY_INSTALL_MS = 60 * 60 * 1000;
/** A package manager without a network must not hold up the start for ever. */
const INSTALL_TIMEOUT_MS = { start: 120_000, test: 600_000 };
const BUILD_INPUTS = [
  'src',
  'test',
  'bench',
  'tsconfig.json',
  'package-lock.json',
  'scripts/bundle.mjs',
  'scripts/warm-up.mjs',
  'bin/bundle.mjs',
];

/** What each level needs: any one of `programs` (or of `files`) on this machine, and the package that brings it, per package manager. */
const NEEDS = {
  start: [
    {
      programs: ['ffmpeg'],
      packages: { 'apt-get': ['ffmpeg'], dnf: ['ffmpeg-free'], pacman: ['ffmpeg'], apk: ['ffmpeg'], brew: ['ffmpeg'] },
    },
  ],
  test: [
    {
      programs: ['ffprobe'],
      packages: { 'apt-get': ['ffmpeg'], dnf: ['ffmpeg-free'], pacman: ['ffmpeg'], apk: ['ffmpeg'], brew: ['ffmpeg'] },
    },
    {
      programs: ['cvlc'],
      packages: { 'apt-get': ['vlc-bin', 'vlc-plugin-base'], dnf: ['vlc'], pacman: ['vlc'], apk: ['vlc'], brew: ['--cask', 'vlc'] },
    },
    { programs: ['mpv'], packages: { 'apt-get': ['mpv'], dnf: ['mpv'], pacman: ['mpv'], apk: ['mpv'], brew: ['mpv'] } },
    {
      programs: ['mplayer'],
      packages: { 'apt-get': ['mplayer'], dnf: ['mplayer'], pacman: ['mplayer'], apk: ['mplayer'], brew: ['mplayer'] },
    },
    {
      programs: ['chromium', 'chromium-browser', 'google-chrome'],
      packages: { 'apt-get': ['chromium'], dnf: ['chromium'], pacman: ['chromium'], apk: ['chromium'], brew: ['--cask', 'chromium'] },
    },
    {
      name: 'nginx with its RTMP module',
      programs: [],
      files: ['/usr/lib/nginx/modules/ngx_rtmp_module.so'],
      packages: { 'apt-get': ['nginx', 'libnginx-mod-rtmp'] },
    },
    {
      programs: ['aria2c'],
      packages: { 'apt-get': ['aria2'], dnf: ['aria2'], pacman: ['aria2'], apk: ['aria2'], brew: ['aria2'] },
    },
    {
      programs: ['transmission-cli'],
      packages: {
        'apt-get': ['transmission-cli'],
        dnf: ['transmission-cli'],
        pacman: ['transmission-cli'],
        apk: ['transmission-cli'],
        brew: ['transmission-cli'],
      },
    },
    {
      name: "libtorrent's module for Python",
      programs: [],
      files: ['/var/lib/dpkg/info/python3-libtorrent.list'],
      packages: { 'apt-get': ['python3-libtorrent'] },
    },
    {
      programs: ['openssl'],
      packages: { 'apt-get': ['openssl'], dnf: ['openssl'], pacman: ['openssl'], apk: ['openssl'], brew: ['openssl'] },
    },
    {
      name: 'DejaVu fonts',
      programs: [],
      files: [
        '/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf',
        '/usr/share/fonts/TTF/DejaVuSans.ttf',
        '/usr/share/fonts/dejavu/DejaVuSans.ttf',
      ],
      packages: { 'apt-get': ['fonts-dejavu-core'], dnf: ['dejavu-sans-fonts'], pacman: ['ttf-dejavu'], apk: ['font-dejavu'] },
    },
  ],
};

const INSTALL_COMMANDS = {
  'apt-get': (packages) => ['apt-get', 'install', '-y', '--no-install-recommends', ...packages],
  dnf: (packages) => ['dnf', 'install', '-y', '--setopt=install_weak_deps=False', ...packages],
  pacman: (packages) => ['pacman', '-S', '--noconfirm', '--needed', ...packages],
  apk: (packages) => ['apk', 'add', ...packages],
  brew: (packages) => ['brew', 'install', ...packages],
};
const UPDATE_COMMANDS = {
  'apt-get': ['apt-get', '-o', 'Acquire::Retries=1', '-o', 'Acquire::http::Timeout=20', 'update'],
  pacman: ['pacman', '-Sy'],
};

/**
 * Brings everything up to `level`.
 *
 * @throws Error with a message for a person when dependencies or the build fail; a missing program is only announced.
 */
export async function setUp(level) {
  const programs = installPrograms(level);
  try {
    await installDependencies();
    await build();
  } finally {
    await programs;
  }
}

async function installDependencies() {
  if (dependenciesMatchLock()) return;
  say('installing the locked dependencies (npm ci)');
  const npm = process.env.npm_execpath?.endsWith('.js') ? [process.execPath, process.env.npm_execpath] : ['npm'];
  const code = await run([...npm, 'ci', '--include=dev', '--no-audit', '--no-fund', '--loglevel=error']);
  if (code !== 0) throw new Error(`"npm ci" failed (exit code ${code}). Its messages stand above.`);
}

/** npm leaves a copy of the lock file in node_modules: the installed tree is right when every package there and here agrees. */
function dependenciesMatchLock() {
  const installedPath = join(ROOT, 'node_modules', '.package-lock.json');
  if (!existsSync(installedPath)) return false;
  const wanted = packagesOf(join(ROOT, 'package-lock.json'));
  const installed = packagesOf(installedPath);
  for (const [path, entry] of Object.entries(wanted)) {
    if (path === '') continue;
    const found = installed[path];
    if (!found && !entry.optional) return false;
    if (found && (found.version !== entry.version || found.integrity !== entry.integrity)) return false;
  }
  return Object.keys(installed).every((path) => wanted[path]);
}

function packagesOf(path) {
  return JSON.parse(readFileSync(path, 'utf8')).packages;
}

async function build() {
  const fingerprint = sourcesFingerprint();
  if (readIfThere(BUILD_STAMP) === fingerprint) return;
  say('building');
  const tsc = [process.execPath, join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc'), '-p', 'tsconfig.json'];
  if ((await run(tsc)) !== 0) throw new Error("the build failed. The compiler's messages stand above.");
  if ((await run([process.execPath, join(ROOT, 'scripts', 'bundle.mjs')])) !== 0)
    throw new Error("the build failed. The bundler's messages stand above.");
  mkdirSync(dirname(BUILD_STAMP), { recursive: true });
  writeFileSync(BUILD_STAMP, fingerprint);
}

function sourcesFingerprint() {
  const hash = createHash('sha256');
  // What was compiled ahead is of use to the Node that did it.
  hash.update(`${process.version}\n`);
  for (const input of BUILD_INPUTS) for (const path of filesUnder(join(ROOT, input))) hash.update(`${path} ${describe(path)}\n`);
  return hash.digest('hex');
}

function describe(path) {
  const { size, mtimeMs } = statSync(path);
  return `${size} ${mtimeMs}`;
}

/** Every file below `path` (or `path` itself), in a fixed order; nothing when it is not there. */
export function filesUnder(path) {
  if (!existsSync(path)) return [];
  if (!statSync(path).isDirectory()) return [path];
  return readdirSync(path)
    .sort()
    .flatMap((name) => filesUnder(join(path, name)));
}

/** Installs what is missing when this user may; otherwise says the exact command and goes on. Never throws. */
async function installPrograms(level) {
  const manager = Object.keys(INSTALL_COMMANDS).find(findProgram);
  // What the package manager does not have cannot be asked of it, every time anew; the tests that need it say so.
  const missing = neededAt(level).filter((need) => !isThere(need) && (!manager || need.packages[manager]));
  if (missing.length === 0) return;
  const names = missing.map((need) => need.programs[0] ?? need.name).join(', ');
  if (!manager) return say(`not found: ${names}. Please install it; going on without what needs it.`);
  const commands = installCommands(manager, missing);
  const prefix = privilegePrefix(manager);
  if (!prefix || (level === 'start' && failedLately())) return sayByHand(names, commands, manager);
  say(`installing ${names} (${manager}); this happens once`);
  if (await runAll(commands, prefix, INSTALL_TIMEOUT_MS[level])) return;
  writeFileSync(INSTALL_STAMP, JSON.stringify({ installFailedMs: Date.now() }));
  sayByHand(names, commands, manager);
}

function neededAt(level) {
  if (level === 'test') return [...NEEDS.start, ...NEEDS.test];
  return NEEDS[level] ?? [];
}

function isThere(need) {
  return need.programs.some(findProgram) || (need.files ?? []).some((path) => existsSync(path));
}

/** brew takes programs and casks in separate commands; every other manager takes all packages at once. */
function installCommands(manager, missing) {
  const lists = missing.map((need) => need.packages[manager] ?? []).filter((list) => list.length > 0);
  const plain = [...new Set(lists.filter((list) => list[0] !== '--cask').flat())];
  const casks = lists.filter((list) => list[0] === '--cask');
  const update = UPDATE_COMMANDS[manager];
  return [
    ...(update ? [update] : []),
    ...(plain.length > 0 ? [INSTALL_COMMANDS[manager](plain)] : []),
    ...casks.map(INSTALL_COMMANDS[manager]),
  ];
}

/** What goes in front of a command that needs root: nothing for root and brew, sudo when it asks no password, undefined when it may not. */
function privilegePrefix(manager) {
  if (manager === 'brew' || process.getuid?.() === 0) return [];
  if (findProgram('sudo') && spawnSync('sudo', ['-n', 'true'], { stdio: 'ignore' }).status === 0) return ['sudo', '-n'];
  return undefined;
}

async function runAll(commands, prefix, timeoutMs) {
  const deadlineMs = Date.now() + timeoutMs;
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  for (const [index, command] of commands.entries()) {
    const isUpdate = index === 0 && commands.length > 1;
    const code = await run([...prefix, ...command], { env, timeoutMs: Math.max(1, deadlineMs - Date.now()), quiet: true });
    // Package lists that cannot be refreshed may still be good enough to install from.
    if (code !== 0 && !isUpdate) return false;
  }
  return true;
}

function sayByHand(names, commands, manager) {
  const sudo = manager === 'brew' || process.getuid?.() === 0 ? '' : 'sudo ';
  // A person can wait: only our own run of the command needs its time limits.
  const lines = commands.map((command) => `${sudo}${command.join(' ').replace(/ -o \S+/g, '')}`);
  say(`not installed: ${names}. To install, run:\n  ${lines.join(' && ')}\ngoing on without what needs it`);
}

function failedLately() {
  try {
    return Date.now() - JSON.parse(readFileSync(INSTALL_STAMP, 'utf8')).installFailedMs < RETRY_INSTALL_MS;
  } catch {
    return false;
  }
}

function findProgram(name) {
  return (process.env.PATH ?? '').split(delimiter).some((folder) => isExecutable(join(folder, name)));
}

function isExecutable(path) {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

function readIfThere(path) {
  return existsSync(path) ? readFileSync(path, 'utf8') : undefined;
}

/** Runs one command with its output on our standard error; `quiet` keeps the output back unless the command fails. Gives the exit code. */
function run([program, ...args], { env = process.env, timeoutMs, quiet = false } = {}) {
  return new Promise((resolve) => {
    const child = spawn(program, args, {
      cwd: ROOT,
      env,
      timeout: timeoutMs,
      killSignal: 'SIGKILL',
      stdio: ['ignore', quiet ? 'pipe' : 2, quiet ? 'pipe' : 2],
    });
    const output = [];
    child.stdout?.on('data', (bytes) => output.push(bytes));
    child.stderr?.on('data', (bytes) => output.push(bytes));
    child.on('error', () => resolve(127));
    child.on('close', (code) => {
      if (code !== 0) process.stderr.write(Buffer.concat(output).subarray(-4000));
      resolve(code ?? 1);
    });
  });
}

function say(text) {
  process.stderr.write(`set-up: ${text}\n`);
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const level = process.argv.find((argument) => argument.startsWith('--for='))?.slice('--for='.length) ?? 'start';
  try {
    await setUp(level);
  } catch (error) {
    say(error.message);
    process.exitCode = 1;
  }
}
