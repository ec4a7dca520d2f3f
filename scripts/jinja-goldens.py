"""
Writes test/fixtures/jinja/goldens.json: templates with what jinja2 makes of them under the settings that
transformers gives it. Needs jinja2 3.1 (Debian: python3-jinja2). Templates are the ones below and seeded
random ones of the same parts.

    python3 scripts/jinja-goldens.py [count] [seed] [file]
"""

import datetime
import json
import pathlib
import random
import sys

import jinja2
import jinja2.ext
from jinja2.sandbox import ImmutableSandboxedEnvironment

NOW = datetime.datetime(2026, 11, 29, 9, 5, 7, 123000)
HERE = pathlib.Path(__file__).resolve().parent.parent / "test/fixtures/jinja"
CONTEXT = (HERE / "context.json").read_text()


class Generation(jinja2.ext.Extension):
    """{% generation %}: its body, called like the body of {% call %}."""

    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        call = self.call_method("_show")
        return jinja2.nodes.CallBlock(call, [], [], body).set_lineno(line)

    def _show(self, caller):
        return caller()


class Refusal(Exception):
    pass


def raise_exception(message):
    raise Refusal(message)


def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(
        x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys
    )


environment = ImmutableSandboxedEnvironment(
    trim_blocks=True, lstrip_blocks=True, extensions=[Generation, "jinja2.ext.loopcontrols"]
)
environment.filters["tojson"] = tojson
environment.globals["raise_exception"] = raise_exception
environment.globals["strftime_now"] = lambda form: NOW.strftime(form)


def golden(source):
    try:
        text = environment.from_string(source).render(**json.loads(CONTEXT))
        if " at 0x" in text.lower():
            return None
        return [source, text]
    except Exception:
        return [source, None]


def lines(name):
    """Templates of a file, one between lines of ----."""
    return (HERE / name).read_text().split("\n----\n")


# Random templates

ATOMS = """1 0 -3 7 2.5 -0.5 1e20 0.1 10 true false none 'a' 'Hello World' '' "it's" '日本語' 'a,b,,c' '  x ' 'é😀z'
[1,2,3] [] ['b','A','c'] [true,none,1.5] (1,'x') {'a':1,'b':[2]} {} n f t users words deep missing text d
messages[0] messages[0].content messages[-1].role users[0].name users|first range(4) [1,2.0,'2'] 'ß' 'ABC' '12' '3.7'""".split(
    " "
)
ATOMS = [atom for piece in ATOMS for atom in piece.split("\n")]
# 'Hello World' and such hold spaces: put them back.
ATOMS = [a for a in ATOMS if a.count("'") % 2 == 0 and a.count('"') % 2 == 0] + [
    "'Hello World'", "'  x '", "'one two  three'", "{'k': none, 'z': {'y': [true, 'q\"']}}", "'a\\nb\\n'", "'tab\\t'",
    "\"it's\"", "'\\u00e9\\x07'",
]
BINARY = "+ - * / // % ** ~ == != < <= > >= in and or".split(" ") + ["not in"]
FILTERS = """upper lower title capitalize trim length count first last list string int float abs round reverse sort
unique join tojson items default('D') d('E',true) e escape safe replace('a','Z') replace('',"-") indent indent(2,true)
join(', ') map('upper') map('upper')|list select|list reject|list map(attribute='name')|list sort(reverse=true)
selectattr('age')|list selectattr('age','gt',20)|list rejectattr('name','equalto','Bo')|list sort(attribute='age')
dictsort batch(2)|list slice(2)|list sum min max wordcount truncate(5) truncate(5,true,'') center(9) tojson(indent=2)
round(1) round(1,'ceil') int(7) float(1.5) format(1) string|length list|length join('-')|upper groupby('age')|list
map('int')|list map('string')|join('/') unique|list urlencode attr('x') tojson(ensure_ascii=true) tojson(sort_keys=true)""".split()
METHODS = """.upper() .lower() .strip() .split() .split(',') .split('o',1) .rsplit(' ',1) .title() .capitalize() .startswith('a')
.endswith(('b','c')) .find('l') .replace('l','L',1) .count('l') .isdigit() .isalpha() .splitlines() .lstrip('H ') .zfill(6)
.center(8,'*') .ljust(4) .items() .keys() .values() .get('a') .get('q','Q') .index('b') .join(['x','y']) .name .age [0] [-1]
[1:] [::-1] [:2] [-2:] ['a'] .a .b .content .partition('l') .isupper() .islower() .swapcase() .append(1) .pop() .copy()
.rstrip() .removeprefix('He') .format(1) .isspace() .expandtabs(4) .casefold()""".split()
TESTS = """defined undefined none string number integer float boolean mapping iterable sequence true false odd even upper lower
divisibleby(3) eq(1) ne('a') gt(1) lt(2) in([1,2]) sameas(none) callable""".split()


class Maker:
    def __init__(self, seed):
        self.random = random.Random(seed)

    def one(self, items):
        return self.random.choice(items)

    def value(self, depth=2):
        kind = self.random.random()
        if depth == 0 or kind < 0.2:
            return self.one(ATOMS)
        inner = self.value(depth - 1)
        if kind < 0.45:
            return f"{self.wrapped(inner)}|{self.one(FILTERS)}"
        if kind < 0.65:
            return f"{self.wrapped(inner)}{self.one(METHODS)}"
        if kind < 0.8:
            return f"{self.wrapped(inner)} {self.one(BINARY)} {self.wrapped(self.value(depth - 1))}"
        if kind < 0.87:
            return f"{self.wrapped(inner)} is {self.one(['', 'not '])}{self.one(TESTS)}"
        if kind < 0.92:
            return f"[{inner}, {self.value(depth - 1)}]"
        if kind < 0.95:
            return f"{inner} if {self.value(depth - 1)} else {self.value(depth - 1)}"
        return f"not {self.wrapped(inner)}"

    def wrapped(self, text):
        return text if text.replace("_", "").isalnum() or text in ATOMS else f"({text})"

    def space(self):
        return self.one(["", "", " ", "\n", "  ", "\n  ", "x", " y\n", "\n\n"])

    def tag(self, inside):
        return f"{{%{self.one(['', '', '-', '+'])} {inside} {self.one(['', '', '-', '+'])}%}}"

    def shown(self):
        return f"{{{{{self.one(['', '', '-'])} {self.value(1)} {self.one(['', '', '-'])}}}}}"

    def body(self, depth):
        parts = []
        for _ in range(self.random.randrange(1, 4)):
            parts += [self.space(), self.statement(depth), self.space()]
        return "".join(parts)

    def statement(self, depth):
        kind = self.random.randrange(9)
        if depth == 0 or kind < 2:
            return self.one([self.shown(), "{# c #}", "{#- c -#}", "word"])
        body = lambda: self.body(depth - 1)
        if kind == 2:
            middle = self.one(["", self.tag("else") + body(), self.tag("elif n") + body()])
            return self.tag(f"if {self.value(1)}") + body() + middle + self.tag("endif")
        if kind in (3, 4):
            loop = self.one(["{{ loop.index }}", "{{ loop.last }}", "{{ x }}", "{{ loop.cycle('a','b') }}", ""])
            items = self.one(["users", "[3,1,2]", "words", "range(3)", "d", "'añ'", "missing", self.value(1)])
            more = self.one(["", "", " if x", " if loop is defined"])
            ends = self.one(["", "", self.tag("else") + body(), self.tag("break"), self.tag("if loop.first") + self.tag("continue") + self.tag("endif")])
            return self.tag(f"for x in {items}{more}") + loop + body() + ends + self.tag("endfor")
        if kind == 5:
            return self.one([
                self.tag(f"set y = {self.value(1)}") + "{{ y }}",
                self.tag("set y") + body() + self.tag("endset") + "{{ y|upper }}",
                self.tag("set ns = namespace(v=1)") + self.tag("for q in words") + self.tag("set ns.v = ns.v + 1") + self.tag("endfor") + "{{ ns.v }}",
            ])
        if kind == 6:
            return self.tag("macro m(p, q='Q')") + "{{ p }}{{ q }}" + body() + self.tag("endmacro") + f"{{{{ m({self.value(1)}) }}}}"
        if kind == 7:
            return self.one([
                self.tag(f"with y = {self.value(1)}") + "{{ y }}" + body() + self.tag("endwith"),
                self.tag("filter upper") + body() + self.tag("endfilter"),
                self.tag("generation") + body() + self.tag("endgeneration"),
            ])
        return self.tag("raw") + self.one(["{{ x }}", " {% if %} ", "\n a \n"]) + self.tag("endraw")


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1200
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 11
    target = pathlib.Path(sys.argv[3]) if len(sys.argv) > 3 else HERE / "goldens.json"
    found = [golden(source) for source in lines("templates.txt")]
    maker = Maker(seed)
    random_ones = []
    while len(random_ones) < count:
        source = f"{{{{ {maker.value(3)} }}}}" if len(random_ones) % 2 else maker.body(2)
        # Errors are many and much alike: one in six is enough.
        result = golden(source)
        if result is None or len(source) > 300 or (result[1] is None and maker.random.random() < 0.8):
            continue
        if result[1] is not None and len(result[1]) > 400:
            continue
        random_ones.append(result)
    found += random_ones
    head = {"jinja2": jinja2.__version__, "seed": seed, "now": NOW.isoformat()}
    rows = ",\n".join(json.dumps(row, ensure_ascii=False) for row in found if row)
    target.write_text(f'{{"made": {json.dumps(head)}, "templates": [\n{rows}\n]}}\n')
    print(f"{len(found)} templates, {sum(1 for row in found if row and row[1] is None)} of them fail")


main()
