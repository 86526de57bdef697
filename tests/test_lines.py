"""A lock of which a few lines are replaced is the lock that would be written anew."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from spritebuild import lock
from spritebuild.lines import Lines
from spritebuild.lock import Entry

PATHS = st.text("ab/é", min_size=1, max_size=3).map(lambda name: f"assets/{name}.png")
ENTRIES = st.dictionaries(
    PATHS, st.builds(Entry, recipe=st.just("r"), digest=st.sampled_from("0123").map(lambda d: d * 64), path=st.just(""))
).map(lambda found: {path: Entry(path, entry.recipe, entry.digest) for path, entry in found.items()})


@given(before=ENTRIES, new=ENTRIES, gone=st.sets(PATHS))
def test_replaced_lines_give_the_lock_of_all_entries(
    before: dict[str, Entry], new: dict[str, Entry], gone: set[str]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / lock.PATH).parent.mkdir()
        (Path(folder) / lock.PATH).write_bytes(lock.text(before.values()).encode())
        lines = Lines(Path(folder))
        asked = {*new, *gone}
        old = lines.find(asked)
        assert old == {path: entry for path, entry in before.items() if path in asked}
        after = {path: entry for path, entry in new.items() if path not in gone}
        expected = lock.text({**{p: e for p, e in before.items() if p not in asked}, **after}.values()).encode()
        changes = lines.replace(old, after)
        assert b"".join(lines.pieces) == expected
        assert changes == (old != after)


def test_platform_that_an_entry_names_is_found(tmp_path: Path) -> None:
    (tmp_path / lock.PATH).parent.mkdir()
    entry = Entry("assets/a.png", "r", "0" * 64, platform="0123456789ab")
    (tmp_path / lock.PATH).write_bytes(lock.text([entry]).encode())
    assert Lines(tmp_path).names_platform("0123456789ab")
    assert not Lines(tmp_path).names_platform("0123456789a")
