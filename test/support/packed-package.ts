/**
 * The package as it is published: what `npm pack` makes of this folder, unpacked into the node_modules of
 * an empty project. Dependencies are linked from here, so that no registry is asked.
 */
import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { buildProgram, ROOT } from './built-program.ts'

const run = promisify(execFile)

export interface PackedProject extends AsyncDisposable {
  readonly folder: string
  /** Writes files, by their paths in the project. */
  write(files: Readonly<Record<string, string>>): Promise<void>
}

/** @param links other packages that the project has, from this one's node_modules */
export async function packedProject(links: readonly string[] = []): Promise<PackedProject> {
  await buildProgram()
  const folder = await mkdtemp(join(tmpdir(), 'bitnet-packed-'))
  const home = join(folder, 'node_modules', 'bitnet-ts')
  await mkdir(home, { recursive: true })
  // What the scripts would build is there already.
  await run('npm', ['pack', '--ignore-scripts', '--pack-destination', folder], { cwd: ROOT })
  const tarball = (await readdir(folder)).find((name) => name.endsWith('.tgz')) ?? 'no tarball'
  await run('tar', ['-xzf', join(folder, tarball), '-C', home, '--strip-components=1'])
  await rm(join(folder, tarball))
  const { dependencies } = JSON.parse(await readFile(join(home, 'package.json'), 'utf8'))
  for (const name of [...Object.keys(dependencies), ...links]) {
    const place = join(folder, 'node_modules', name)
    await mkdir(dirname(place), { recursive: true })
    await symlink(join(ROOT, 'node_modules', name), place, 'junction')
  }
  const write: PackedProject['write'] = async (files) => {
    for (const [path, text] of Object.entries(files)) {
      await mkdir(dirname(join(folder, path)), { recursive: true })
      await writeFile(join(folder, path), text)
    }
  }
  await write({ 'package.json': '{ "name": "project", "private": true, "type": "module" }\n' })
  const dispose = () => rm(folder, { recursive: true, force: true })
  return { folder, write, [Symbol.asyncDispose]: dispose }
}
