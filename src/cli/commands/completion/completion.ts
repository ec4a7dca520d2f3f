/**
 * `bitnet completion SHELL`: a script that completes commands, flags and their values, made from the
 * commands themselves.
 */
import { Argument } from 'commander'
import { writeLine } from '../../console/terminal.ts'
import { type CommandDefinition, defineCommand } from '../../define-command.ts'
import { parseChoice } from '../../flags/flag-values.ts'
import { bashScript } from './bash.ts'
import { describeCommand } from './completion-tables.ts'
import { fishScript } from './fish.ts'
import { zshScript } from './zsh.ts'

const SHELLS = { bash: bashScript, zsh: zshScript, fish: fishScript } as const
const NAMES = Object.keys(SHELLS)
type Shell = keyof typeof SHELLS

export const command: CommandDefinition = {
  addTo(command, ...rest) {
    defineCommand<object, [shell: Shell]>({
      json: false,
      flags: () =>
        command.addArgument(
          new Argument('<shell>').choices(NAMES).argParser((name) => parseChoice(name, NAMES)),
        ),
      examples: `\
  $ source <(bitnet completion bash)                    or add this line to ~/.bashrc
  $ bitnet completion zsh > "\${fpath[1]}/_bitnet"
  $ bitnet completion fish > ~/.config/fish/completions/bitnet.fish`,
      run: async ({ stdout }, _, shell) => {
        const commands = command.parent?.commands ?? []
        await writeLine(stdout, SHELLS[shell](commands.map(describeCommand)))
      },
    }).addTo(command, ...rest)
  },
}
