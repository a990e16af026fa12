"""Is a run finished: of the same configuration, and on the data that it would read now."""

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gmbench.config.identity import run_sha
from gmbench.config.schema import Settings
from gmbench.core.errors import InputError
from gmbench.data.fingerprint import Fingerprint, current_fingerprint
from gmbench.lifecycle.attempts import finished
from gmbench.lifecycle.build_data import build_regions, build_source
from gmbench.reporting.record import RunResult

log = logging.getLogger("gmbench")


class Lookup:
    """Finds finished runs; data that several of them share is looked at once."""

    def __init__(self) -> None:
        self._now: dict[str, Fingerprint | None] = {}

    def __call__(self, folder: Path, tree: Mapping[str, Any]) -> RunResult | None:
        """The valid result in ``folder`` of the run of a configuration, if there is one.

        A damaged one is reported and counts for none.

        Args:
            folder: the run folder.
            tree: the resolved configuration in plain containers.

        Raises:
            InputError: it is of the same configuration but of other data, or the data cannot be
                read.
        """
        if tree["force"] or tree["mode"] != "train":
            return None
        try:
            result = finished(folder, run_sha(tree))
        except ValueError as fault:
            log.warning("%s; the run is computed again", fault)
            return None
        if result is not None and (why := self.other_data(result, tree)):
            raise InputError(
                f"{folder}: its finished run has the same configuration but {why}; "
                "name=NAME keeps both runs, force=true replaces it"
            )
        return result

    def other_data(self, result: RunResult, tree: Mapping[str, Any]) -> str:
        """What a result has of other data than a configuration reads now; empty if nothing.

        A built-in world that has yet to be generated is taken for the same: its settings are.

        Raises:
            InputError: the data cannot be read.
        """
        key = json.dumps([tree[name] for name in ("data", "regions", "cache")])
        key += str("regions" in tree["model"]["inputs"])
        if key not in self._now:
            settings = Settings.of(dict(tree))
            source = build_source(settings)
            self._now[key] = (
                None
                if source.is_pending
                else current_fingerprint(
                    source, build_regions(settings, source), Path(settings.cache)
                )
            )
        now = self._now[key]
        then = Fingerprint(result.data.fingerprint, result.data.candidates)
        return "" if now is None else " and ".join(then.differences(now))
