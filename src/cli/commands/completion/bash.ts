import type { Completed, CompletedCommand } from './completion-tables.ts'

/** A script for bash 4 or newer. */
export function bashScript(commands: readonly CompletedCommand[]): string {
  const words = commands.map(({ name }) => name).join(' ')
  return `\
# Completes bitnet in bash: source <(bitnet completion bash)
_bitnet() {
  local cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD-1]} command= word
  local values= files= flags=
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case "$command $word" in
      *" -"*) ;;
${groups(commands)}
      " "*) command=$word ;;
    esac
  done
  case "$command" in
    "") values="${words}"; flags="--help --version" ;;
${commands
  .flatMap((command) => [command, ...prefixed(command)])
  .map(commandCase)
  .join('\n')}
  esac
  [[ $cur == -* ]] && { values=$flags; files=; }
  mapfile -t COMPREPLY < <(compgen -W "$values" -- "$cur"; [[ $files ]] && compgen -f -- "$cur")
  [[ $files ]] && compopt -o filenames 2>/dev/null
  return 0
}
complete -F _bitnet bitnet`
}

/** Commands of a group under their whole names. */
function prefixed({ name, commands }: CompletedCommand): CompletedCommand[] {
  return commands.map((command) => ({ ...command, name: `${name} ${command.name}` }))
}

function groups(commands: readonly CompletedCommand[]): string {
  return commands
    .flatMap((group) => prefixed(group))
    .map(({ name }) => `      "${name}") command="${name}" ;;`)
    .join('\n')
}

function commandCase({ name, flags, takes, commands }: CompletedCommand): string {
  const own = {
    values: commands.length > 0 ? commands.map((one) => one.name) : takes.values,
    files: takes.files,
  }
  const cases = flags.flatMap(({ names, takes: value }) =>
    value === undefined ? [] : [`        ${names.join('|')}) ${settings(value)}; flags= ;;`],
  )
  return `\
    "${name}")
      flags="${flags.flatMap(({ names }) => names).join(' ')}"
      case "$prev" in
${cases.join('\n')}
        *) ${settings(own)} ;;
      esac ;;`
}

function settings({ values, files }: Completed): string {
  return `values="${values.join(' ')}" files=${files ? 1 : ''}`
}
