/**
 * Programs of this machine: where one is, and the command that installs one.
 *
 * Looks at PATH without starting anything.
 */
import { accessSync, constants, statSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Package managers in the order they are looked for, and how each installs. */
const INSTALL_COMMANDS = [
  { manager: 'apt-get', command: 'apt-get install -y', needsRoot: true },
  { manager: 'dnf', command: 'dnf install -y', needsRoot: true },
  { manager: 'pacman', command: 'pacman -S --noconfirm', needsRoot: true },
  { manager: 'apk', command: 'apk add', needsRoot: true },
  { manager: 'brew', command: 'brew install', needsRoot: false },
] as const;

export type PackageManager = (typeof INSTALL_COMMANDS)[number]['manager'];

/** The program's path, or undefined when this machine has none of that name. */
export function findProgram(name: string): string | undefined {
  const folders = (process.env['PATH'] ?? '').split(delimiter);
  return folders.map((folder) => join(folder, name)).find(isExecutable);
}

/**
 * The exact command that installs a package here, as in `sudo apt-get install -y ffmpeg`; a sentence when no known package manager is there.
 *
 * @param otherNames what the package is called where it is not called `packageName`.
 */
export function installHint(packageName: string, otherNames: Partial<Record<PackageManager, string>> = {}): string {
  const found = INSTALL_COMMANDS.find(({ manager }) => findProgram(manager));
  if (!found) return `install the package "${packageName}" of this system`;
  const sudo = found.needsRoot && process.getuid?.() !== 0 ? 'sudo ' : '';
  return `${sudo}${found.command} ${otherNames[found.manager] ?? packageName}`;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}
