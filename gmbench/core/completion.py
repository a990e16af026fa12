"""What may be typed next on a command line of gmbench, for the shell: quick, and read from files.

Neither Hydra nor the verbs are imported: a shell asks at every press of the tabulator.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

PACKAGE = Path(__file__).parents[1]
CONF = next(
    (place for place in (PACKAGE / "conf", PACKAGE.parent / "conf") if place.is_dir()), PACKAGE
)

BASH = r"""_gmbench() {
    local line="${COMP_LINE:0:COMP_POINT}" IFS=$'\n'
    local word="${line##* }"
    COMPREPLY=($(gmbench --complete "$line" 2>/dev/null))
    # bash begins a new word behind "=", so what stands before it is not typed again
    [[ $word == *=* && $COMP_WORDBREAKS == *=* ]] && COMPREPLY=("${COMPREPLY[@]#"${word%=*}="}")
    [[ ${#COMPREPLY[@]} == 1 && ${COMPREPLY[0]} == *[=.] ]] && compopt -o nospace
}
complete -o default -F _gmbench gmbench"""

ZSH = r"""(( $+functions[compdef] )) || { autoload -Uz compinit && compinit }
_gmbench() {
    local line="${(j: :)words[1,CURRENT-1]} $PREFIX"
    local -a offered=(${(f)"$(gmbench --complete "$line" 2>/dev/null)"})
    if (( $#offered )); then
        compadd -- ${offered:#*[=.]}
        compadd -S '' -- ${(M)offered:#*[=.]}
    else
        compset -P '*='
        _files
    fi
}
compdef _gmbench gmbench"""

FISH = r"""function __gmbench
    set -l offered (gmbench --complete (commandline -cp | string collect) 2>/dev/null)
    if test -n "$offered"
        printf '%s\n' $offered
    else
        set -l word (commandline -ct)
        set -l files (__fish_complete_path (string replace -r '.*=' '' -- $word))
        string replace -r '^' (string replace -r '[^=]*$' '' -- $word) -- $files
    end
end
complete -c gmbench -f -a '(__gmbench)'"""

SCRIPTS = {"bash": BASH, "zsh": ZSH, "fish": FISH}
"""For ``eval "$(gmbench --completion SHELL)"``, in fish ``gmbench --completion fish | source``.

Files are offered where gmbench has nothing to offer.
"""


def completions(line: str, verbs: Iterable[str], conf: Path = CONF) -> list[str]:
    """Whole words that continue the last one of a line.

    Args:
        line: what has been typed, ``gmbench`` first.
        verbs: of gmbench.
        conf: the folder of configuration groups.
    """
    *before, word = line.split(" ")
    before = [typed for typed in before if typed]
    if len(before) < 2:
        offered: Iterable[str] = (*verbs, "--help", "--version")
    elif word.startswith("-"):
        offered = ("--help", *_options(before[1]))
    elif before[1] in ("run", "prepare"):
        offered = _settings(conf, word)
    else:
        offered = ()
    return sorted({each for each in offered if each.startswith(word)})


def _options(verb: str) -> Iterator[str]:
    """The options of a verb, as its source writes them."""
    if verb == "run":
        yield from ("--multirun", "--cfg", "--config-dir", "--info")
        return
    source = PACKAGE / f"{verb}.py"
    if source.is_file():
        yield from re.findall(r'add(?:_argument)?\(\s*"(--[\w-]+)"', source.read_text())


def _settings(conf: Path, word: str) -> Iterator[str]:
    """``group=choice`` and ``key=``, or ``key=true`` and ``key=false``."""
    groups = {place.name: place for place in conf.iterdir() if place.is_dir()}
    optional = ("debug", "experiment", "foreign")
    for name, place in groups.items():
        if name == "hydra":
            continue
        plus = "+" if name in optional else ""
        yield from (f"{plus}{name}={file.stem}" for file in place.glob("*.yaml"))
    for key, value in _keys(_read(conf / "config.yaml"), ""):
        yield from _values(key, value)
    chosen = word.partition(".")[0]
    if "." not in word:
        yield from (f"{name}." for name in groups if name not in (*optional, "hydra"))
    elif chosen in groups:
        for file in groups[chosen].glob("*.yaml"):
            for key, value in _keys(_read(file), f"{chosen}."):
                yield from _values(key, value)


def _values(key: str, value: object) -> Iterator[str]:
    yield from (f"{key}=true", f"{key}=false") if isinstance(value, bool) else (f"{key}=",)


def _keys(node: Mapping[str, object], prefix: str) -> Iterator[tuple[str, object]]:
    for name, value in node.items():
        if name in ("defaults", "hydra") or name.startswith("_"):
            continue
        if isinstance(value, dict):
            yield from _keys(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _read(file: Path) -> Mapping[str, object]:
    import yaml

    tree = yaml.load(file.read_text(), Loader=yaml.CSafeLoader)
    return tree if isinstance(tree, dict) else {}
