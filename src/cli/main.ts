#!/usr/bin/env node
/**
 * The `bitnet` command of this process: real streams, real signals, the real loader.
 */
import { runInProcess } from './console/process.ts'
import { runCli } from './program.ts'

await runInProcess((surroundings) => runCli(process.argv.slice(2), surroundings))
