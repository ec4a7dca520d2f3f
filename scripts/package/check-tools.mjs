/** What the check of packages runs: Node for several systems, package managers and emulators. */
import { execFile } from 'node:child_process'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** Runs a program. @throws Error with what it said */
export async function tell([program, ...args], { cwd, env, timeout = 600_000 } = {}) {
  const environment = { ...process.env, ...env }
  // What npm tells its scripts would reach the package managers too.
  for (const name of Object.keys(environment)) {
    if (/^npm_/i.test(name)) delete environment[name]
  }
  try {
    return await run(program, args, { cwd, env: environment, timeout, maxBuffer: 64 << 20 })
  } catch (error) {
    const said = `${error.stdout ?? ''}\n${error.stderr ?? ''}`.trim().split('\n')
    throw new Error(`${program} ${args.join(' ')}: ${said.slice(-15).join('\n') || error.message}`)
  }
}

/** A part of verdaccio asks for a tag of node-fetch that not every mirror has. */
const OVERRIDES = { 'node-fetch': '^2.7.0' }

/** Packages of npm in folders of their own, fetched once. */
export class Tools {
  #folder
  #npm

  constructor(folder, npm) {
    this.#folder = folder
    this.#npm = npm
  }

  /** @returns the folder of the package */
  async package(name, version) {
    const home = join(this.#folder, `${name.replaceAll(/[@/]/g, '')}-${version}`)
    const path = join(home, 'node_modules', name)
    if (existsSync(join(path, 'package.json'))) return path
    mkdirSync(home, { recursive: true })
    writeFileSync(
      join(home, 'package.json'),
      JSON.stringify({ private: true, overrides: OVERRIDES }),
    )
    // --force: also what runs on other systems.
    const how = [
      '--force',
      '--ignore-scripts',
      '--no-audit',
      '--no-fund',
      '--no-package-lock',
      '--loglevel=error',
    ]
    await this.#npm(['install', '--prefix', home, ...how, `${name}@${version}`], home)
    return path
  }

  /** Node's program for a system, as npm's packages of Node have it. */
  async node(system, version) {
    const suffix = system.startsWith('win') ? '.exe' : ''
    return join(await this.package(`node-${system}`, version), `bin/node${suffix}`)
  }
}

/** True if the system has the program. */
export async function has(program) {
  return run(program, ['--version']).then(
    () => true,
    () => false,
  )
}
