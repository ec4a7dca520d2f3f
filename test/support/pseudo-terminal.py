"""Runs a program in a pseudo-terminal: pseudo-terminal.py COLUMNS ROWS PROGRAM ARGUMENTS...

Standard input has a JSON value a line: a string to type, or [columns, rows]. What the program writes goes
to standard output as it is. Ends as the program does; if standard input ends first, it hangs up.
"""
import fcntl
import json
import os
import pty
import select
import struct
import sys
import termios


def set_size(terminal, columns, rows):
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack('HHHH', rows, columns, 0, 0))


columns, rows = int(sys.argv[1]), int(sys.argv[2])
child, terminal = pty.fork()
if child == 0:
    set_size(0, columns, rows)
    os.execvp(sys.argv[3], sys.argv[3:])

pending = b''
while True:
    ready, _, _ = select.select([terminal, 0], [], [])
    if terminal in ready:
        try:
            data = os.read(terminal, 65536)
        except OSError:  # Linux says so when the program has closed its side.
            data = b''
        if not data:
            break
        while data:
            data = data[os.write(1, data):]
    if 0 in ready:
        data = os.read(0, 65536)
        if not data:
            os.close(terminal)
            break
        *lines, pending = (pending + data).split(b'\n')
        for line in lines:
            command = json.loads(line)
            if isinstance(command, str):
                data = command.encode()
                while data:
                    data = data[os.write(terminal, data):]
            else:
                set_size(terminal, *command)

_, status = os.waitpid(child, 0)
sys.exit(os.waitstatus_to_exitcode(status) & 255)
