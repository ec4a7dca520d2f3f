import type { Completed, CompletedCommand } from './completion-tables.ts'

export function fishScript(commands: readonly CompletedCommand[]): string {
  const lines = commands.flatMap((command) => {
    const { name, summary, takes } = command
    const isIt = `__fish_seen_subcommand_from ${name}`
    return [
      `complete -c bitnet -n __fish_use_subcommand -a ${name} -d ${quote(summary)}`,
      ...value(takes).map((action) => `complete -c bitnet -n ${quote(isIt)} ${action}`),
      ...flags(command, isIt),
      ...command.commands.flatMap((one) => [
        `complete -c bitnet -n ${quote(isIt)} -a ${one.name} -d ${quote(one.summary)}`,
        ...flags(one, `${isIt}; and __fish_seen_subcommand_from ${one.name}`),
      ]),
    ]
  })
  return [
    '# Completes bitnet in fish: bitnet completion fish > ~/.config/fish/completions/bitnet.fish',
    'complete -c bitnet -f',
    "complete -c bitnet -n __fish_use_subcommand -l version -d 'print the version'",
    ...lines,
  ].join('\n')
}

function flags({ flags: all }: CompletedCommand, condition: string): string[] {
  return all.map(({ names, summary, takes }) => {
    const spelled = names.map((name) =>
      name.startsWith('--') ? `-l ${name.slice(2)}` : `-s ${name.slice(1)}`,
    )
    const action = takes === undefined ? [] : [takes.files ? '-r' : '-x', ...value(takes)]
    return [
      'complete -c bitnet -n',
      quote(condition),
      ...spelled,
      ...action,
      '-d',
      quote(summary),
    ].join(' ')
  })
}

function value({ values, files }: Completed): string[] {
  const listed = values.length > 0 ? [`-a ${quote(values.join(' '))}`] : []
  return files ? [...listed, '-F'] : listed
}

function quote(text: string): string {
  return `'${text.replace(/[\\']/g, '\\$&')}'`
}
