import type { Completed, CompletedCommand } from './completion-tables.ts'

export function zshScript(commands: readonly CompletedCommand[]): string {
  return `\
#compdef bitnet
# Completes bitnet in zsh: bitnet completion zsh > "\${fpath[1]}/_bitnet"
_bitnet() {
  local -a commands
${dispatch(commands, '  ')}
}
if [[ $funcstack[1] == _bitnet ]]; then _bitnet "$@"; else compdef _bitnet bitnet; fi`
}

/** Completes the name of a command, or else what that command takes. */
function dispatch(commands: readonly CompletedCommand[], indent: string): string {
  const names = commands.map(({ name, summary }) => quote(`${name}:${summary}`)).join(' ')
  const cases = commands.map((command) => {
    const inner =
      command.commands.length > 0
        ? dispatch(command.commands, `${indent}    `)
        : `${indent}    _arguments ${specs(command).join(' ')}`
    return `${indent}  ${command.name})\n${inner} ;;`
  })
  return [
    `${indent}commands=(${names})`,
    `${indent}if (( CURRENT == 2 )); then _describe command commands; return; fi`,
    `${indent}shift words; (( CURRENT-- ))`,
    `${indent}case $words[1] in`,
    ...cases,
    `${indent}esac`,
  ].join('\n')
}

function specs({ flags, takes }: CompletedCommand): string[] {
  const spelled = flags.flatMap(({ names, summary, takes: value }) => {
    const what = value === undefined ? '' : `:${escaped(value.what)}:${action(value)}`
    return names.map((name) => quote(`(${names.join(' ')})${name}[${escaped(summary)}]${what}`))
  })
  // A place where nothing is known must not be named: zsh would complete no flag beside it.
  const isKnown = takes.files || takes.values.length > 0
  return isKnown ? [...spelled, quote(`*:argument:${action(takes)}`)] : spelled
}

function action({ values, files }: Completed): string {
  if (!files) return values.length > 0 ? `(${values.join(' ')})` : ' '
  return values.length > 0
    ? `_alternative 'v:value:(${values.join(' ')})' 'f:file:_files'`
    : '_files'
}

function escaped(text: string): string {
  return text.replace(/[[\]:\\]/g, '\\$&')
}

function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`
}
