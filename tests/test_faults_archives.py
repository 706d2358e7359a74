"""Can an archive or a file, however it was made, write where it should not, run code, or take all memory or disk?

The worst case is assumed: the digest in the catalog is that of the malicious file, so that nothing refuses it before.
"""

import gzip
import random
import tarfile
import zlib

import pytest
import small_set
from hostile_bytes import bounded_memory, changed

from course_utils.datasets import DatasetUnavailableError, load, storage
from course_utils.datasets.archives import MAX_BYTES, unpack

FILES = ("batches/one", "batches/two")
GOOD = {name: f"content of {name}".encode() for name in FILES}


def member(name, kind=tarfile.REGTYPE, content=b"", **more):
    """Return (header, content) of one member of a tar."""
    info = tarfile.TarInfo(name)
    info.type, info.size = kind, len(content)
    for key, value in more.items():
        setattr(info, key, value)
    return info, content


def tar(*members):
    """Return a .tar.gz of these members, whatever they claim."""
    body = b"".join(
        info.tobuf(tarfile.PAX_FORMAT) + content + bytes(-len(content) % 512) for info, content in members
    )
    return gzip.compress(body + bytes(1024), 1)


def good_members():
    return [member(name, content=content) for name, content in GOOD.items()]


ZEROS = zlib.compressobj(9, wbits=31)
ZEROS = ZEROS.compress(bytes(1 << 24)) + ZEROS.flush()  # 16 MB of zeros in 16 kB; gzip files may be joined


def hostile(outside):
    """Return archives that reach for `outside`, a folder with a file "treasure"."""
    treasure = str(outside / "treasure")
    up = "../" * 30
    links = [
        (kind, target) for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE) for target in (treasure, up + treasure)
    ]
    return {
        "path that climbs out": [
            member("../../evil", content=b"evil"),
            member(f"{up}{outside}/evil", content=b"evil"),
        ],
        "absolute path": [member(f"{outside}/evil", content=b"evil"), member(treasure, content=b"evil")],
        "link in place of a file": [member(FILES[0], kind, linkname=target) for kind, target in links],
        "link in place of the folder": [member("batches", tarfile.SYMTYPE, linkname=str(outside))],
        "device or pipe": [
            member(FILES[0], kind, devmajor=1, devminor=5)
            for kind in (tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE)
        ],
        "set-user-id file": [member(FILES[0], content=GOOD[FILES[0]], mode=0o6777)],
    }


@pytest.mark.parametrize("kind", hostile(storage.Path("x")))
def test_a_malicious_archive_writes_nothing_but_its_files(tmp_path, tally, kind):
    outside, inside = tmp_path / "outside", tmp_path / "inside"
    outside.mkdir()
    (outside / "treasure").write_text("mine")
    attacks = hostile(outside)[kind]
    for attack in attacks:
        (tmp_path / "a.tar.gz").write_bytes(tar(attack, *good_members()))
        unpack(tmp_path / "a.tar.gz", FILES, inside)
        assert {path.name for path in tmp_path.iterdir()} == {"outside", "inside", "a.tar.gz"}
        assert [path.name for path in outside.iterdir()] == ["treasure"]
        assert (outside / "treasure").read_text() == "mine"
        assert {path.relative_to(inside).as_posix() for path in inside.rglob("*")} == {"batches", *FILES}
        for name, content in GOOD.items():
            assert not (inside / name).is_symlink()
            assert (inside / name).stat().st_nlink == 1
            assert (inside / name).stat().st_mode & 0o7111 == 0
            assert (inside / name).read_bytes() == content
    tally.note("archives", kind, tried=len(attacks))


def bombs():
    """Return archives of some kilobytes or megabytes that unpack to gigabytes."""
    big = 1 << 33
    header = {name: member(name, size=big)[0].tobuf(tarfile.PAX_FORMAT) for name in (FILES[0], "other")}
    sparse = tarfile.TarInfo(FILES[0])
    sparse.type, sparse.size = tarfile.XHDTYPE, big
    packed = {name: gzip.compress(text) for name, text in header.items()}
    return {
        "gzip bomb": ("bomb.gz", ZEROS * 128),
        "bomb within a tar": ("bomb.tar.gz", packed[FILES[0]] + ZEROS * 128),
        "bomb beside the files of a tar": ("bomb.tar.gz", packed["other"] + ZEROS * 128),
        "bomb in a header of a tar": (
            "bomb.tar.gz",
            gzip.compress(sparse.tobuf(tarfile.GNU_FORMAT)) + ZEROS * 128,
        ),
        "tar that claims more than it has": ("bomb.tar.gz", packed[FILES[0]]),
    }


@pytest.mark.parametrize("kind", bombs())
def test_a_bomb_is_stopped_before_it_takes_memory_or_disk(tmp_path, tally, kind):
    name, content = bombs()[kind]
    (tmp_path / name).write_bytes(content)
    with (
        bounded_memory(3 * len(FILES) * MAX_BYTES),
        pytest.raises(RuntimeError, match="cannot be unpacked") as caught,
    ):
        unpack(tmp_path / name, FILES, tmp_path / "inside")
    assert sum(path.stat().st_size for path in (tmp_path / "inside").rglob("*")) <= MAX_BYTES + 8192
    tally.note("archives", kind, tried=1, message=str(caught.value))


def test_a_bomb_or_a_giant_in_place_of_a_file_is_not_read(tmp_path, monkeypatch, tally):
    monkeypatch.delenv("COURSE_DATA", raising=False)
    for name, content in small_set.small_mnist().items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    bad = tmp_path / "MNIST/raw/train-images-idx3-ubyte"
    with bad.open("wb") as file:
        file.truncate(1 << 40)  # a sparse file: it takes no disk
    messages = []
    for path, content in ((bad, None), (bad.with_name(f"{bad.name}.gz"), ZEROS * 8)):
        if content is not None:
            bad.unlink()
            path.write_bytes(content)
        with bounded_memory(3 * MAX_BYTES), pytest.raises(DatasetUnavailableError) as caught:
            load("mnist", root=tmp_path)
        messages.append(str(caught.value).replace(str(tmp_path), "FOLDER"))
        assert "Delete it and load again" in messages[-1]
    assert "it has 1,099,511,627,776 bytes, and no file of these sets more than" in messages[0]
    assert "it unpacks to more than" in messages[1]
    tally.note("archives", "bomb in place of a file", tried=2, message=messages[1])


def test_an_archive_of_changed_bytes_unpacks_or_says_what_is_wrong(tmp_path, tally):
    body = gzip.decompress(tar(*good_members()))
    tried = tally.number(each_time=300, weekly=20_000)
    generator, messages = random.Random(5), []
    for case in range(tried):
        path = tmp_path / "a.tar.gz"
        text = (
            gzip.compress(changed(body, generator), 1)
            if case % 2
            else changed(gzip.compress(body, 1), generator)
        )
        path.write_bytes(text)
        try:
            unpack(path, FILES, tmp_path / "inside")
        except RuntimeError as error:
            messages.append(str(error))
        assert {found.relative_to(tmp_path).as_posix() for found in tmp_path.rglob("*")} <= {
            "a.tar.gz", "inside", "inside/batches", *(f"inside/{name}" for name in FILES)
        }  # fmt: skip
    assert len(messages) > tried / 20
    tally.note("archives", "bytes changed at random", tried=tried, message=messages[-1])
