"""Splitting a PostgreSQL script into statements as psql does, with psql's variables put in.

What psql would do itself (backslash commands, data behind COPY) is refused with its line: nothing is guessed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, NoReturn

from tenantry.errors import ScriptRefused
from tenantry.fleet.sqitch.statements import Script, Statement

_TOKEN: Final = re.compile(
    r"""(?P<space>\s+|--[^\n]*)
      | (?P<comment>/\*)
      | (?P<string>[eE]'(?:[^'\\]|\\.|'')*'|(?:[bBxXnN]|[uU]&)?'(?:[^']|'')*')
      | (?P<quoted>(?:[uU]&)?"(?:[^"]|"")*")
      | (?P<dollar>\$(?:[A-Za-z_\u0080-\uffff][A-Za-z0-9_\u0080-\uffff]*)?\$)
      | (?P<variable>:\{\?\w+\}|:(?:\w+|'\w+'|"\w+"))
      | (?P<word>[A-Za-z_\u0080-\uffff][\w$]*)
      | (?P<unended>['"])
      | (?P<meta>\\)
      | (?P<end>;)
      | (?P<open>[(])
      | (?P<close>[)])
      | (?P<other>::|:=|\$\d+|\d[\w.]*|.)""",
    re.DOTALL | re.VERBOSE,
)
_COMMENT_EDGE: Final = re.compile(r"/\*|\*/")


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    line: int


@dataclass
class _Pending:
    """The statement that is being read."""

    parts: list[str] = field(default_factory=list)
    words: list[str] = field(default_factory=list)
    line: int = 0
    parentheses: int = 0
    blocks: int = 0

    @property
    def begun(self) -> bool:
        return self.line > 0

    def add(self, token: _Token) -> None:
        if not self.begun and token.kind in ("space", "comment"):
            return
        self.line = self.line or token.line
        self.parts.append(token.text)
        if token.kind == "word":
            self._add_word(token.text.lower())
        elif token.kind == "quoted" and token.text.startswith('"'):
            self.words.append(token.text[1:-1].replace('""', '"'))
        self.parentheses = max(0, self.parentheses + {"open": 1, "close": -1}.get(token.kind, 0))

    def _add_word(self, word: str) -> None:
        self.words.append(word)
        if self.parentheses or not self._makes_routine:
            return
        # The body of a routine that is written as SQL, without quotes: BEGIN ATOMIC … END, with CASE … END in it.
        if word == "begin" or (word == "case" and self.blocks):
            self.blocks += 1
        elif word == "end" and self.blocks:
            self.blocks -= 1

    @property
    def _makes_routine(self) -> bool:
        words = self.words[1:4] if self.words[1:3] != ["or", "replace"] else self.words[3:4]
        return self.words[:1] == ["create"] and words[:1] in (["function"], ["procedure"])

    @property
    def ends_here(self) -> bool:
        return not self.parentheses and not self.blocks

    def statement(self) -> Statement:
        return Statement("".join(self.parts).rstrip(), self.line, tuple(self.words))


def read_script(text: str, name: str, variables: Mapping[str, str]) -> Script:
    """Returns the statements of a script; *name* is what errors call it.

    Raises: ScriptRefused with the line.
    """
    return Script(name, tuple(_statements(text, name, variables)))


def _statements(text: str, name: str, variables: Mapping[str, str]) -> Iterator[Statement]:
    pending = _Pending()
    for token in _expanded(_tokens(text, name, line=1), name, variables):
        if token.kind == "meta":
            _refuse(name, token.line, "psql's own commands (a backslash outside quotes) are not run here.")
        if token.kind != "end" or not pending.ends_here:
            pending.add(token)
            continue
        if pending.begun:
            yield _checked(pending.statement(), name)
        pending = _Pending()
    if pending.begun:
        yield _checked(pending.statement(), name)


def _checked(statement: Statement, name: str) -> Statement:
    if statement.words[:1] == ("copy",) and {"stdin", "stdout"} & {*statement.words}:
        _refuse(name, statement.line, "COPY to or from the client is not run here; use INSERT.")
    return statement


def _tokens(text: str, name: str, *, line: int) -> Iterator[_Token]:
    place = 0
    while match := _TOKEN.match(text, place):
        kind = match.lastgroup or "other"
        end = match.end()
        if kind == "comment":
            end = _end_of_comment(text, place) or _refuse(name, line, "This comment has no end.")
        elif kind == "dollar":
            end = text.find(match[0], end) + len(match[0])
            if end < match.end() + len(match[0]):
                _refuse(name, line, f"What {match[0]} begins has no end.")
        elif kind == "unended":
            _refuse(name, line, "What this quotation mark begins has no end.")
        yield _Token(kind, text[place:end], line)
        line += text.count("\n", place, end)
        place = end


def _end_of_comment(text: str, place: int) -> int | None:
    depth = 0
    for edge in _COMMENT_EDGE.finditer(text, place):
        depth += 1 if edge[0] == "/*" else -1
        if depth == 0:
            return edge.end()
    return None


def _expanded(tokens: Iterator[_Token], name: str, variables: Mapping[str, str]) -> Iterator[_Token]:
    for token in tokens:
        if token.kind != "variable":
            yield token
        elif token.text.startswith(":{"):
            yield _Token("word", str(token.text[3:-1] in variables).upper(), token.line)
        elif token.text[1:].strip("'\"") not in variables:
            # psql leaves alone what it does not know: the end of a slice, an operator's argument.
            yield from _left(token, name)
        else:
            yield from _value(token, name, variables[token.text[1:].strip("'\"")])


def _left(token: _Token, name: str) -> Iterator[_Token]:
    yield _Token("other", ":", token.line)
    yield from _tokens(token.text[1:], name, line=token.line)


def _value(token: _Token, name: str, value: str) -> Iterator[_Token]:
    if token.text[1] == "'":
        escaped = value.replace("'", "''")
        literal = " E'" + escaped.replace("\\", "\\\\") + "'" if "\\" in value else f"'{escaped}'"
        yield _Token("string", literal, token.line)
    elif token.text[1] == '"':
        yield _Token("quoted", '"' + value.replace('"', '""') + '"', token.line)
    else:
        # Put in as it is and read like the rest, with all that it may hold.
        yield from _tokens(value, name, line=token.line)


def _refuse(name: str, line: int, reason: str) -> NoReturn:
    raise ScriptRefused(file=name, line=line, reason=reason)
