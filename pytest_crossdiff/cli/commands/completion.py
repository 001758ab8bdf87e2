"""`crossdiff completion`: a shell's completion, drawn from the tree of commands."""

from __future__ import annotations

import argparse
import re
import shlex
from typing import TYPE_CHECKING, NamedTuple

from pytest_crossdiff.cli.arguments import command
from pytest_crossdiff.cli.exits import FINE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_crossdiff.cli.arguments import Commands
    from pytest_crossdiff.cli.terminal import Terminal

EXAMPLES = """\
  crossdiff completion bash > ~/.local/share/bash-completion/completions/crossdiff
  crossdiff completion zsh > ~/.zfunc/_crossdiff      with fpath+=~/.zfunc before compinit
  crossdiff completion fish > ~/.config/fish/completions/crossdiff.fish"""


class Node(NamedTuple):
    """A command: the words that lead to it, what it is, what may follow."""

    path: tuple[str, ...]
    what: str
    options: tuple[tuple[str, str], ...]
    words: tuple[tuple[str, str], ...]
    files: bool


def add(commands: Commands) -> None:
    """Add the command."""
    parser = command(
        commands, "completion", "write the completion of a shell", run, examples=EXAMPLES
    )
    parser.add_argument("shell", choices=tuple(WRITERS))


def run(options: argparse.Namespace, out: Terminal) -> int:
    """Write the script."""
    out.line(WRITERS[options.shell](list(nodes(options.parser))))
    return FINE


def nodes(parser: argparse.ArgumentParser, path: tuple[str, ...] = ()) -> Iterator[Node]:
    """Every command below `parser`, itself first."""
    listed = [a for a in parser._actions if a.help != argparse.SUPPRESS]
    below = [a for a in listed if isinstance(a, argparse._SubParsersAction)]
    places = [a for a in listed if not a.option_strings and a not in below]
    words = [(c.dest, _plain(c.help)) for a in below for c in a._choices_actions]
    words += [(str(word), "") for a in places for word in a.choices or ()]
    yield Node(
        path,
        _plain(parser.description).partition(". ")[0],
        tuple((o, _plain(a.help)) for a in listed for o in a.option_strings),
        tuple(words),
        not below and not any(a.choices for a in places),
    )
    for action in below:
        for name, child in action.choices.items():
            yield from nodes(child, (*path, name))


def bash(tree: list[Node]) -> str:
    """For bash: words by the commands typed so far."""
    cases = "\n".join(
        f"    {shlex.quote(' '.join(node.path))}) "
        f"words={shlex.quote(' '.join(_words(node)))}; files={int(node.files)} ;;"
        for node in tree
    )
    known = " ".join(sorted({word for node in tree for word in node.path}))
    return f"""\
# bash completion of crossdiff
_crossdiff() {{
  local cur=${{COMP_WORDS[COMP_CWORD]}} path="" words="" files=0 word
  for word in "${{COMP_WORDS[@]:1:COMP_CWORD-1}}"; do
    case " {known} " in *" $word "*) path="${{path:+$path }}$word" ;; esac
  done
  case "$path" in
{cases}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$cur"))
  if [[ $files == 1 && $cur != -* ]]; then COMPREPLY+=($(compgen -f -- "$cur")); fi
}}
complete -o filenames -F _crossdiff crossdiff"""


def zsh(tree: list[Node]) -> str:
    """For zsh: the same with a description beside each word."""
    cases = []
    for node in tree:
        items = " ".join(
            shlex.quote(f"{word.replace(':', chr(92) + ':')}:{what}")
            for word, what in (*node.words, *node.options)
        )
        then = "; _files" if node.files else ""
        cases.append(
            f"    {shlex.quote(' '.join(node.path))}) words=({items}); "
            f"_describe -o crossdiff words{then} ;;"
        )
    known = " ".join(sorted({word for node in tree for word in node.path}))
    body = "\n".join(cases)
    return f"""\
#compdef crossdiff
_crossdiff() {{
  local path_="" word
  local -a words_ known=({known}) words
  words_=("${{(@)words[2,CURRENT-1]}}")
  for word in $words_; do
    if (( ${{known[(Ie)$word]}} )); then path_="${{path_:+$path_ }}$word"; fi
  done
  case "$path_" in
{body}
  esac
}}
compdef _crossdiff crossdiff"""


def fish(tree: list[Node]) -> str:
    """For fish: a line a word."""
    lines = ["# fish completion of crossdiff", "complete -c crossdiff -f"]
    for node in tree:
        seen = [f"__fish_seen_subcommand_from {word}" for word in node.path]
        deeper = [w for w, _ in node.words] if node.words and not node.files else []
        if deeper:
            seen.append(f"not __fish_seen_subcommand_from {' '.join(deeper)}")
        when = f"-n {shlex.quote('; and '.join(seen))} " if seen else ""
        for word, what in node.words:
            lines.append(f"complete -c crossdiff {when}-a {word} -d {shlex.quote(what)}")
        for option, what in node.options:
            name = f"-l {option[2:]}" if option.startswith("--") else f"-s {option[1:]}"
            lines.append(f"complete -c crossdiff {when}{name} -d {shlex.quote(what)}")
        if node.files and node.path:
            lines.append(f"complete -c crossdiff {when}-F")
    return "\n".join(lines)


WRITERS = {"bash": bash, "zsh": zsh, "fish": fish}


def _words(node: Node) -> list[str]:
    return [word for word, _ in (*node.words, *node.options)]


def _plain(text: str | None) -> str:
    """One line without percent signs doubled for argparse."""
    return re.sub(r"\s+", " ", (text or "").replace("%%", "%")).strip()
