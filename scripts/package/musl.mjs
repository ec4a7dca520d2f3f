/**
 * A process of musl's on a system of glibc's: Bun's program for Alpine from npm, started by Debian's musl.
 * What it needs besides is libstdc++ for musl, which no registry has; Debian's own, linked anew with the five
 * functions of glibc's that it asks for, will do.
 */
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { tell } from './check-tools.mjs'

const LOADER = '/lib/ld-musl-x86_64.so.1'

const GLIBC = `
#include <stddef.h>
void *__dso_handle __attribute__((visibility("hidden"))) = &__dso_handle;
char __libc_single_threaded = 0;
int __cxa_thread_atexit_impl(void (*f)(void *), void *object, void *dso) { return 0; }
int _dl_find_object(void *address, void *result) { return -1; }
size_t strftime_l(char *, size_t, const char *, const void *, void *);
size_t __strftime_l(char *s, size_t n, const char *f, const void *t, void *l) {
  return strftime_l(s, n, f, t, l);
}
long getrandom(void *, size_t, unsigned);
unsigned arc4random(void) { unsigned v = 0; getrandom(&v, sizeof v, 0); return v; }
`

/**
 * @param tools as in check-tools.mjs
 * @param folder for the library
 * @returns { command, env }; or a string, why it cannot be had here
 */
export async function bunOnMusl(tools, version, folder) {
  const gcc = '/usr/lib/gcc/x86_64-linux-gnu'
  const versions = existsSync(gcc) ? readdirSync(gcc) : []
  const home = versions
    .map((name) => join(gcc, name))
    .find((one) => existsSync(`${one}/libstdc++.a`))
  if (!existsSync(LOADER) || home === undefined) return 'Debian: musl g++'
  const bun = join(await tools.package('@oven/bun-linux-x64-musl', version), 'bin/bun')
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'glibc.c'), GLIBC)
  const library = 'libstdc++.so.6'
  const link = ['-shared', '-o', library, '-soname', library, 'glibc.o', '--whole-archive']
  const rest = ['--no-whole-archive', `${home}/libgcc.a`, `${home}/libgcc_eh.a`]
  await tell(['gcc', '-fPIC', '-c', 'glibc.c', '-o', 'glibc.o'], { cwd: folder })
  await tell(['ld', ...link, `${home}/libstdc++.a`, ...rest], { cwd: folder })
  return { command: bun, env: { LD_LIBRARY_PATH: folder } }
}
