"""Which folders hold a model: an export or a finished run; torch is not needed to tell."""

from pathlib import Path

from gmbench.core.errors import InputError, did_you_mean

RECORD, RESULT = "export.json", "result.json"


def is_export(folder: Path) -> bool:
    """Whether a folder is an export; otherwise it is a finished run.

    Raises:
        InputError: it is neither.
    """
    if (folder / RECORD).is_file():
        return True
    if (folder / RESULT).is_file():
        return False
    raise InputError(f"{folder}: {_what_is_wrong(folder)}")


def _what_is_wrong(folder: Path) -> str:
    if not folder.exists():
        beside = [item.name for item in folder.parent.iterdir()] if folder.parent.is_dir() else []
        return f"no such folder{did_you_mean(folder.name, beside, f'{folder.parent}/')}"
    if not folder.is_dir():
        return "a file; name an exported folder or a run folder"
    if (folder / "failure.json").is_file():
        return "a run that failed (failure.json says why); run it again"
    runs = sorted(str(file.parent) for file in folder.glob("*/**/result.json"))
    if runs:
        return f"no run itself, but there are runs below it, such as {runs[0]}"
    return "neither an export (export.json) nor a finished run (result.json)"


def check_new(run: Path, folder: Path) -> None:
    """Refuse to export what is no finished run, or into a folder that is there.

    Raises:
        InputError: saying which.
    """
    if is_export(run):
        raise InputError(f"{run}: exported already; name a run folder")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder}: is there already; name a new folder, or remove it")
